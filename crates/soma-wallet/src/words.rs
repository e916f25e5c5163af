//! Words for random names, as in `calm-agate`.

#[rustfmt::skip]
pub(crate) const ADJECTIVES: [&str; 128] = [
    "able", "agile", "airy", "alert", "amber", "ample", "apt", "azure",
    "bold", "brave", "breezy", "bright", "brisk", "broad", "calm", "candid",
    "careful", "cheerful", "chief", "civil", "clean", "clear", "clever", "cool",
    "cosy", "crisp", "curious", "daring", "deft", "deep", "eager", "early",
    "earnest", "easy", "elegant", "even", "exact", "fair", "famous", "fast",
    "festive", "fine", "firm", "fleet", "fond", "frank", "free", "fresh",
    "friendly", "frosty", "gentle", "gifted", "glad", "golden", "good", "graceful",
    "grand", "great", "green", "handy", "happy", "hardy", "hearty", "honest",
    "hopeful", "humble", "jolly", "jovial", "keen", "kind", "large", "lasting",
    "light", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mild",
    "modest", "neat", "nimble", "noble", "open", "patient", "peaceful", "plain",
    "polite", "precise", "prime", "proud", "prudent", "pure", "quick", "quiet",
    "rapid", "ready", "robust", "rosy", "round", "serene", "sharp", "silent",
    "silver", "simple", "sincere", "smart", "smooth", "snowy", "solid", "sound",
    "steady", "strong", "sturdy", "subtle", "sunny", "swift", "tidy", "tranquil",
    "true", "trusty", "upright", "vivid", "warm", "willing", "wise", "young",
];

#[rustfmt::skip]
pub(crate) const STONES: [&str; 64] = [
    "agate", "alabaster", "amazonite", "amethyst", "andesite", "apatite", "aragonite", "azurite",
    "basalt", "beryl", "calcite", "carnelian", "celestine", "chalcedony", "chalk", "citrine",
    "corundum", "diamond", "diorite", "dolomite", "emerald", "feldspar", "flint", "fluorite",
    "gabbro", "galena", "garnet", "gneiss", "granite", "gypsum", "hematite", "howlite",
    "jade", "jasper", "kyanite", "labradorite", "larimar", "limestone", "magnetite", "malachite",
    "marble", "mica", "moonstone", "obsidian", "olivine", "onyx", "opal", "pearl",
    "peridot", "pumice", "pyrite", "quartz", "rhodonite", "ruby", "sandstone", "sapphire",
    "serpentine", "slate", "sodalite", "spinel", "topaz", "tourmaline", "turquoise", "zircon",
];
