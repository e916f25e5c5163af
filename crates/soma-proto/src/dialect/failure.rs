//! Why a transaction failed.
