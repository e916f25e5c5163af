//! The messages between a client and a node, and what turns them into the
//! types of this crate.
//!
//! * [`pb`]: messages, clients and servers of package `soma.rpc`;
//! * [`ext`]: the same for `soma.ext`, this node's narrow reads;
//! * [`mask`]: read masks, that is which fields an answer shall hold;
//! * [`convert`]: native types to messages and back;
//! * [`status`]: errors with details;
//! * [`bcs`]: the services whose messages are BCS: faucet, admin, scoring.
//!
//! Nothing here opens a connection: clients and servers are generic over their
//! transport.

use std::fmt;
pub mod bcs;
pub mod convert;
pub mod mask;
pub mod status;

/// Messages, clients and servers of package `soma.rpc`.
pub use self::generated::soma::rpc as pb;

/// Messages, client and server of package `soma.ext`.
pub use self::generated::soma::ext;

/// Errors with details, package `google.rpc`.
pub use self::generated::google::rpc as google_rpc;

/// All descriptors, encoded, as a reflection service wants them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

/// Code that `cargo xtask codegen` writes. The tree follows the names of the
/// packages, since the code refers to itself by relative paths.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    clippy::exhaustive_enums,
    rust_2018_idioms,
    reason = "generated code"
)]
mod generated {
    pub(crate) mod fields {
        include!("generated/fields.rs");
    }
    pub mod soma {
        pub mod rpc {
            include!("generated/soma.rpc.rs");
        }
        pub mod ext {
            include!("generated/soma.ext.rs");
        }
    }
    pub mod faucet {
        include!("generated/faucet.Faucet.rs");
    }
    pub mod admin {
        include!("generated/admin.Admin.rs");
    }
    pub mod scoring {
        include!("generated/scoring.Scoring.rs");
    }
    pub mod google {
        pub mod rpc {
            include!("generated/google.rpc.rs");
        }
    }
}

impl fmt::Debug for pb::ModelWeightsManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifest, decryption_key } = self;
        f.debug_struct("ModelWeightsManifest")
            .field("manifest", manifest)
            .field("decryption_key", &decryption_key.as_ref().map(|_| ".."))
            .finish()
    }
}
