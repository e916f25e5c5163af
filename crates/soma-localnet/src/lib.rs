//! soma-localnet
