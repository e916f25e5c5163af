//! The clouds: which client, which credentials, and which public URL.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::multipart::MultipartStore;
use object_store::{ObjectStore, RetryConfig};
use url::Url;

use super::profile::Profile;
use super::wire::Wire;
use super::{Addressing, StoreOptions};
use crate::destination::shown;
use crate::{Error, Result, Variables, redacted};

/// The region that S3 takes for granted.
const DEFAULT_REGION: &str = "us-east-1";

/// Hosts that never answer without credentials, although they are S3.
const NEVER_PUBLIC: [&str; 1] = [".r2.cloudflarestorage.com"];

/// One of the clouds, by the two faces that this crate needs.
#[derive(Clone)]
pub(super) struct Cloud {
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Lists unfinished uploads, which only S3 can do by its own dialect.
    pub(super) s3: Option<S3>,
    /// Where anonymous readers find the bucket, with a slash at the end, if
    /// that follows from the rest.
    pub(super) public: Option<Url>,
}

/// What is needed for requests that `object_store` does not make.
#[derive(Clone)]
pub(super) struct S3 {
    pub(super) store: Arc<AmazonS3>,
    pub(super) region: String,
    /// Of the bucket.
    pub(super) url: Url,
}

pub(super) fn s3(
    bucket: &str,
    options: &StoreOptions,
    variables: &Variables,
    wire: Wire,
) -> Result<Cloud> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables.starting_with("AWS_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let given = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
    let profile = Profile::read(variables);
    if given(&builder, AmazonS3ConfigKey::AccessKeyId).is_none()
        && variables.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_none()
    {
        for (name, key) in [
            ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
            ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
            ("aws_session_token", AmazonS3ConfigKey::Token),
        ] {
            if let Some(value) = profile.get(name) {
                builder = builder.with_config(key, value);
            }
        }
    }
    let region = options
        .region
        .clone()
        .or_else(|| given(&builder, AmazonS3ConfigKey::Region))
        .or_else(|| profile.get("region").map(str::to_owned))
        .unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let endpoint = options
        .endpoint
        .as_ref()
        .map(|url| url.as_str().to_owned())
        .or_else(|| given(&builder, AmazonS3ConfigKey::S3Endpoint))
        .or_else(|| given(&builder, AmazonS3ConfigKey::Endpoint))
        .or_else(|| profile.get("endpoint_url").map(str::to_owned));
    let url = bucket_url(bucket, &region, endpoint.as_deref(), options.addressing)?;
    let store = builder
        .with_bucket_name(bucket)
        .with_region(&region)
        // As a whole, bucket included, so that there is one place that decides.
        .with_config(AmazonS3ConfigKey::S3Endpoint, url.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(true)
        .with_retry(once())
        .with_http_connector(wire)
        .build()
        .map_err(|error| setup("s3", error))?;
    let store = Arc::new(store);
    let never =
        url.host_str().is_some_and(|host| NEVER_PUBLIC.iter().any(|end| host.ends_with(end)));
    Ok(Cloud {
        parts: store.clone(),
        objects: store.clone(),
        public: (!never).then(|| url.clone()),
        s3: Some(S3 { store, region, url }),
    })
}

pub(super) fn google(
    bucket: &str,
    options: &StoreOptions,
    variables: &Variables,
    wire: Wire,
) -> Result<Cloud> {
    let mut builder = GoogleCloudStorageBuilder::new();
    if let Some(path) = variables.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(path);
    }
    for (name, value) in variables.starting_with("GOOGLE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let mut base = "https://storage.googleapis.com".to_owned();
    if let Some(endpoint) = &options.endpoint {
        check_endpoint(endpoint)?;
        base = endpoint.as_str().trim_end_matches('/').to_owned();
        builder = builder.with_base_url(&base);
    }
    let store: GoogleCloudStorage = builder
        .with_bucket_name(bucket)
        .with_retry(once())
        .with_http_connector(wire)
        .build()
        .map_err(|error| setup("gs", error))?;
    let store = Arc::new(store);
    let public = Url::parse(&format!("{base}/{bucket}/")).ok();
    Ok(Cloud { parts: store.clone(), objects: store, s3: None, public })
}

pub(super) fn azure(
    container: &str,
    options: &StoreOptions,
    variables: &Variables,
    wire: Wire,
) -> Result<Cloud> {
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in variables.starting_with("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let Some(account) = builder.get_config_value(&AzureConfigKey::AccountName) else {
        return Err(Error::Destination {
            text: format!("az://{container}"),
            reason: "the account is not known; set AZURE_STORAGE_ACCOUNT_NAME",
        });
    };
    let mut base = format!("https://{account}.blob.core.windows.net");
    if let Some(endpoint) = &options.endpoint {
        check_endpoint(endpoint)?;
        base = endpoint.as_str().trim_end_matches('/').to_owned();
        builder = builder.with_endpoint(base.clone());
    }
    let store: MicrosoftAzure = builder
        .with_container_name(container)
        .with_retry(once())
        .with_http_connector(wire)
        .build()
        .map_err(|error| setup("az", error))?;
    let store = Arc::new(store);
    let public = Url::parse(&format!("{base}/{container}/")).ok();
    Ok(Cloud { parts: store.clone(), objects: store, s3: None, public })
}

/// Where a bucket is, with a slash at the end.
fn bucket_url(
    bucket: &str,
    region: &str,
    endpoint: Option<&str>,
    addressing: Addressing,
) -> Result<Url> {
    let amazon = format!("https://s3.{region}.amazonaws.com");
    let by_host = match addressing {
        Addressing::Path => false,
        Addressing::VirtualHost => true,
        // Amazon wants the bucket in the host name; its certificates have no
        // room for a dot there. Elsewhere the path always works.
        Addressing::Automatic => endpoint.is_none() && !bucket.contains('.'),
    };
    let text = endpoint.unwrap_or(&amazon).trim_end_matches('/');
    let text = match text.split_once("://") {
        Some((scheme, rest)) if by_host => format!("{scheme}://{bucket}.{rest}/"),
        _ => format!("{text}/{bucket}/"),
    };
    let url = Url::parse(&text)
        .map_err(|_| Error::Url { url: shown(&text), reason: "the endpoint is not a URL" })?;
    check_endpoint(&url)?;
    Ok(url)
}

/// Refuses what would go into every URL of an object, for everybody to see.
fn check_endpoint(url: &Url) -> Result<()> {
    let has_secret = !url.username().is_empty() || url.password().is_some();
    if has_secret || url.query().is_some() || url.fragment().is_some() {
        let reason = "an endpoint has neither user name nor query: credentials go elsewhere";
        return Err(Error::Url { url: redacted(url), reason });
    }
    Ok(())
}

/// One try: repeating is done where parts are counted.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn setup(store: &str, error: object_store::Error) -> Error {
    super::wire::unwrapped("set up", store, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_found_where_their_store_keeps_them() {
        let url = |bucket, endpoint, addressing| {
            bucket_url(bucket, "eu-west-1", endpoint, addressing).unwrap().to_string()
        };
        use Addressing::{Automatic, Path, VirtualHost};
        let amazon = "https://b.s3.eu-west-1.amazonaws.com/";
        assert_eq!(url("b", None, Automatic), amazon);
        assert_eq!(url("b.c", None, Automatic), "https://s3.eu-west-1.amazonaws.com/b.c/");
        assert_eq!(url("b", None, Path), "https://s3.eu-west-1.amazonaws.com/b/");
        let minio = Some("http://127.0.0.1:9000/");
        assert_eq!(url("b", minio, Automatic), "http://127.0.0.1:9000/b/");
        let hosted = Some("https://fra1.digitaloceanspaces.com");
        assert_eq!(url("b", hosted, VirtualHost), "https://b.fra1.digitaloceanspaces.com/");
    }
}
