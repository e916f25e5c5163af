//! soma-ledger
