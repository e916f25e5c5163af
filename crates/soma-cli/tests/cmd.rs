//! Help, version and misuse: one small case each, in `tests/cmd`.

#[test]
fn cases() {
    trycmd::TestCases::new()
        .env("SOMA_CONFIG_DIR", "no-such-directory")
        // No network is asked: nothing listens here.
        .env("SOMA_RPC_URL", "http://127.0.0.1:9")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
