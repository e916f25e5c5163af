//! soma-model
