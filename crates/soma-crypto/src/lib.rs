//! soma-crypto
