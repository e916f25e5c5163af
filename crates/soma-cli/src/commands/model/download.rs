//! `soma model download`.

use std::path::PathBuf;

use serde::Serialize;
use soma_model::Standing;
use soma_proto::ObjectId;
use soma_storage::{Expected, Storage};

use super::args::DownloadArgs;
use crate::context::{Context, client};
use crate::error::{Failure, Result};
use crate::output::{Page, Report, format};
use crate::progress::Progress;

/// Fetches the weights from their URL, straight to disk; they get their name only if
/// they are what the chain says.
pub(super) async fn run(args: DownloadArgs, context: &Context) -> Result<()> {
    let environment = context.target_without_wallet()?.environment;
    let standing = Standing::ask(&client(&environment)?, &args.model_id).await?;
    let weights = standing.model.weights_manifest.as_ref().ok_or_else(|| {
        Failure::new(
            "ModelNotActive",
            format!("{} is {}: its weights are not revealed", args.model_id, standing.status),
        )
    })?;
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("{}.weights", args.model_id)));
    if output.exists() && !args.force {
        return Err(Failure::new("OutputExists", format!("{} exists already", output.display()))
            .with_hint("--force replaces it"));
    }
    // Whoever registers a model chooses URL and size.
    let manifest = &weights.manifest;
    let digest = (*manifest.checksum().inner()).into();
    let expected = Expected { size: manifest.size(), digest }.within(args.bounds.max_size)?;
    let storage = Storage::new(args.bounds.scope(&environment).addresses())?;
    let progress = Progress::bytes("downloading", manifest.size());
    let url = manifest.url().as_url();
    if args.decrypt {
        let key = soma_crypto::Key::from_bytes(*weights.decryption_key.as_bytes());
        storage
            .download_decrypted(url, &output, &expected, &key, |done| progress.set(done))
            .await?;
    } else {
        storage.download(url, &output, &expected, |done| progress.set(done)).await?;
    }
    drop(progress);
    context.out.print(&DownloadReport {
        model_id: args.model_id,
        output_path: output.display().to_string(),
        size_bytes: manifest.size(),
    })
}

#[derive(Serialize)]
struct DownloadReport {
    model_id: ObjectId,
    output_path: String,
    size_bytes: u64,
}

impl Report for DownloadReport {
    fn text(&self, page: &mut Page) {
        let size = format::bytes(self.size_bytes);
        page.line(format!("Verified and wrote {size} to {}", self.output_path));
    }
}
