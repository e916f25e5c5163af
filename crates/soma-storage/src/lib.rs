//! soma-storage
