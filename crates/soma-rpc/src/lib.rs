//! soma-rpc
