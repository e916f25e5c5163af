//! soma-wallet
