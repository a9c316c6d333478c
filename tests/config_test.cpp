#include "core/config.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"

namespace winnow {
namespace {

Config parse(std::string_view text) { return Config::parse(text, "x.yaml"); }

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const ConfigError& e) { return e.what(); }
  return "no ConfigError";
}

const char* const kText =
    "model:\n"
    "  name: DCNv2        # a comment\n"
    "  hidden_units: [64, 32]\n"
    "train:\n"
    "  lr: 1e-3\n"
    "  epochs: 5\n"
    "  shuffle: false\n"
    "  note: \"10\"\n"
    "features:\n"
    "  - {name: user, vocab: 100}\n"
    "  - name: item\n"
    "    vocab: 200\n";

TEST(Config, ReadsEveryType) {
  Config config = parse(kText);
  const ConfigNode root = config.root(), train = root.child("train");
  EXPECT_EQ(root.child("model").require<std::string>("name"), "DCNv2");
  EXPECT_EQ(root.child("model").require<std::vector<int64_t>>("hidden_units"), (std::vector<int64_t>{64, 32}));
  EXPECT_EQ(train.get("lr", 0.1), 1e-3);
  EXPECT_EQ(train.get("lr", 0.1f), 1e-3f);
  EXPECT_EQ(train.get("epochs", 1), 5);
  EXPECT_EQ(train.get<uint64_t>("epochs", 1), 5u);
  EXPECT_EQ(train.require<double>("epochs"), 5.0);
  EXPECT_EQ(train.get("shuffle", true), false);
  EXPECT_EQ(train.get("note", ""), "10");
  std::vector<std::pair<std::string, int>> features;
  for (const ConfigNode& f : root.list("features"))
    features.emplace_back(f.require<std::string>("name"), f.require<int>("vocab"));
  EXPECT_EQ(features, (std::vector<std::pair<std::string, int>>{{"user", 100}, {"item", 200}}));
  config.finish();
}

TEST(Config, DefaultsFillWhatIsAbsent) {
  Config config = parse("");
  const ConfigNode root = config.root();
  EXPECT_EQ(root.get("epochs", 10), 10);
  EXPECT_EQ(root.get("lr", 0.5f), 0.5f);
  EXPECT_EQ(root.get("name", "adam"), "adam");
  EXPECT_EQ(root.get<std::vector<std::string>>("metrics", {"AUC", "logloss"}),
            (std::vector<std::string>{"AUC", "logloss"}));
  EXPECT_EQ(root.get<std::vector<double>>("none", {}), std::vector<double>{});
  EXPECT_EQ(root.choice("optimizer", "adam", {"sgd", "adam"}), "adam");
  EXPECT_EQ(root.child("train").get("seed", uint64_t{18446744073709551615u}), 18446744073709551615u);
  EXPECT_EQ(root.find<int>("limit"), std::nullopt);
  EXPECT_TRUE(root.list("features").empty());
  config.finish();
  EXPECT_EQ(config.emit(),
            "epochs: 10\nlr: 0.5\nname: adam\nmetrics: [AUC, logloss]\nnone: []\noptimizer: adam\n"
            "train:\n  seed: 18446744073709551615\nlimit: null\nfeatures: []\n");
}

TEST(Config, EmitParsesBackToTheSameValues) {
  Config config = parse(kText);
  const ConfigNode root = config.root();
  root.child("train").get("weight_decay", 1e-5);
  root.child("train").get("text", "needs: \"quotes\"\n\ttabs \\ and caf\xc3\xa9 #");
  root.child("train").get<std::vector<std::string>>("words", {"true", "1e3", "~", "", "- a", "ok"});
  root.child("train").get("whole", 3.0);
  const std::string text = config.emit();
  EXPECT_EQ(text,
            "model:\n  name: DCNv2\n  hidden_units: [64, 32]\n"
            "train:\n  lr: 1e-3\n  epochs: 5\n  shuffle: false\n  note: \"10\"\n  weight_decay: 1e-05\n"
            "  text: \"needs: \\\"quotes\\\"\\n\\ttabs \\\\ and caf\xc3\xa9 #\"\n"
            "  words: [\"true\", \"1e3\", \"~\", \"\", \"- a\", ok]\n  whole: 3.0\n"
            "features:\n  - name: user\n    vocab: 100\n  - name: item\n    vocab: 200\n");
  Config again = parse(text);
  EXPECT_EQ(again.emit(), text);
  EXPECT_EQ(again.root().child("train").require<std::string>("text"), "needs: \"quotes\"\n\ttabs \\ and caf\xc3\xa9 #");
  EXPECT_EQ(again.root().child("train").require<std::vector<std::string>>("words"),
            (std::vector<std::string>{"true", "1e3", "~", "", "- a", "ok"}));
  EXPECT_EQ(again.root().child("train").require<double>("weight_decay"), 1e-5);
}

TEST(Config, InfiniteDefaultsAndControlCharactersParseBack) {
  Config config = parse("bell: \"\\x07\"\nlimit: -.inf\n");
  EXPECT_EQ(config.root().get("clip", std::numeric_limits<double>::infinity()),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(config.root().get("floor", -std::numeric_limits<float>::infinity()),
            -std::numeric_limits<float>::infinity());
  EXPECT_EQ(config.root().get("limit", 0.0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(error_of([&] { config.root().get("limit", 0.0, at_least(0)); }),
            "x.yaml:2: limit: must be >= 0, found -inf");
  const std::string text = config.emit();
  EXPECT_EQ(text, "bell: \"\\x07\"\nlimit: -.inf\nclip: .inf\nfloor: -.inf\n");
  EXPECT_EQ(parse(text).emit(), text);
}

TEST(Config, ValuesOfSeveralFormsAreToldApart) {
  Config config = parse("features: [user, {name: item, vocab: 3}, [a, b], null]\n");
  const auto items = config.root().list("features");
  EXPECT_TRUE(items[0].is_scalar() && !items[0].is_map() && !items[0].is_list());
  EXPECT_TRUE(items[1].is_map() && !items[1].is_scalar());
  EXPECT_TRUE(items[2].is_list() && !items[2].is_map());
  EXPECT_FALSE(items[3].is_scalar() || items[3].is_map() || items[3].is_list());
  EXPECT_EQ(items[2].as<std::vector<std::string>>(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(items[2].path(), "features[2]");
  EXPECT_EQ(error_of([&] { items[0].fail("is not an item"); }), "x.yaml:1: features[0]: is not an item");
  EXPECT_EQ(error_of([&] { items[0].get("name", ""); }), "x.yaml:1: features[0]: expected a map, found 'user'");
}

TEST(Config, LongListsAreWrittenAsBlocks) {
  Config config = parse("");
  const std::vector<int> ids(500, 7);
  config.root().get("ids", ids);
  config.root().get<std::vector<int>>("few", {1, 2});
  const std::string text = config.emit();
  EXPECT_TRUE(text.starts_with("ids:\n  - 7\n  - 7\n")) << text;
  EXPECT_EQ(parse(text).root().require<std::vector<int>>("ids"), ids);
  EXPECT_EQ(parse(text).emit(), text);
}

TEST(Config, NestedListsAndEmptyValuesParseBack) {
  const std::string text = "a:\n  - - b: 1\n      c: {}\n    - [1, [], null]\n  - []\n\"two words\": \"x\"\n";
  const std::string once = parse(text).emit();
  EXPECT_EQ(once, "a:\n  - - b: 1\n      c: {}\n    - [1, [], null]\n  - []\n\"two words\": x\n");
  EXPECT_EQ(parse(once).emit(), once);
}

TEST(Config, UnknownKeysAreNamedWithTheNearestKnownOne) {
  Config config = parse("train:\n  epoch: 10\n  lr: 1\n  zzzzzzzzz: 1\nembedding_dim: 4\nmodel:\n  lr: 1\n");
  const ConfigNode train = config.root().child("train");
  train.get("epochs", 1);
  train.get("lr", 1.0);
  config.root().child("model").get("embedding_dim", 8);
  EXPECT_EQ(error_of([&] { config.finish(); }),
            "x.yaml:2: unknown key 'train.epoch'; did you mean 'train.epochs'?\n"
            "x.yaml:4: unknown key 'train.zzzzzzzzz'; known here: epochs, lr\n"
            "x.yaml:5: unknown key 'embedding_dim'; did you mean 'model.embedding_dim'?\n"
            "x.yaml:7: unknown key 'model.lr'; did you mean 'train.lr'?");
  EXPECT_EQ(error_of([&] { config.root().child("model").finish(); }).substr(0, 33),
            "x.yaml:7: unknown key 'model.lr';");
}

TEST(Config, UnknownKeysInsideListsAndWholeMaps) {
  Config config = parse("features:\n  - {name: a, vocb: 3}\nextra:\n  deep: {x: 1}\n");
  for (const ConfigNode& f : config.root().list("features")) {
    f.require<std::string>("name");
    f.get("vocab", 1);
  }
  EXPECT_EQ(error_of([&] { config.finish(); }),
            "x.yaml:2: unknown key 'features[0].vocb'; did you mean 'features[0].vocab'?\n"
            "x.yaml:3: unknown key 'extra'; known here: features");
}

TEST(Config, ManyUnknownKeysGiveAShortText) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "key_" + std::to_string(i) + ": 1\n";
  Config config = parse(text);
  config.root();
  EXPECT_LT(error_of([&] { config.finish(); }).size(), 3000u);
  EXPECT_NE(error_of([&] { config.finish(); }).find("and 980 more"), std::string::npos);
}

TEST(Config, FreeKeysAreReadAsEntries) {
  Config config = parse("weights: {click: 1, buy: 5.5}\n");
  std::vector<std::pair<std::string, double>> weights;
  for (const auto& [key, value] : config.root().child("weights").entries())
    weights.emplace_back(key, value.as<double>());
  EXPECT_EQ(weights, (std::vector<std::pair<std::string, double>>{{"click", 1}, {"buy", 5.5}}));
  config.finish();
}

TEST(Config, WrongTypesNameKeyValueAndExpectation) {
  Config config = parse(
      "train:\n  lr: fast\n  epochs: 1.5\n  many: 1e4\n  old: 007\n  quoted: \"10\"\n  flag: yes\n  list: 3\n"
      "  map: [1]\n  scalar: {a: 1}\n  nothing:\n  units: [1, x]\n  huge: 99999999999999999999\n  negative: -1\n  inf: "
      "inf\n"
      "  nan: .nan\n  big: 1e999\n");
  const ConfigNode train = config.root().child("train");
  EXPECT_EQ(error_of([&] { train.get("lr", 0.1); }), "x.yaml:2: train.lr: expected a number, found 'fast'");
  EXPECT_EQ(error_of([&] { train.get("epochs", 1); }), "x.yaml:3: train.epochs: expected an integer, found '1.5'");
  EXPECT_EQ(error_of([&] { train.get("many", 1); }), "x.yaml:4: train.many: expected an integer, found '1e4'");
  EXPECT_EQ(error_of([&] { train.get("old", 1); }), "x.yaml:5: train.old: expected an integer, found '007'");
  EXPECT_EQ(error_of([&] { train.get("quoted", 1); }),
            "x.yaml:6: train.quoted: expected an integer, found the quoted text '10'");
  EXPECT_EQ(error_of([&] { train.get("flag", true); }), "x.yaml:7: train.flag: expected true or false, found 'yes'");
  EXPECT_EQ(error_of([&] { train.list("list"); }), "x.yaml:8: train.list: expected a list, found '3'");
  EXPECT_EQ(error_of([&] { train.child("map"); }), "x.yaml:9: train.map: expected a map, found a list");
  EXPECT_EQ(error_of([&] { train.get("scalar", ""); }), "x.yaml:10: train.scalar: expected text, found a map");
  EXPECT_EQ(error_of([&] { train.get("nothing", 1); }), "x.yaml:11: train.nothing: expected an integer, found nothing");
  EXPECT_EQ(error_of([&] { train.require<std::vector<int>>("units"); }),
            "x.yaml:12: train.units[1]: expected an integer, found 'x'");
  EXPECT_EQ(error_of([&] { train.get("huge", 1); }),
            "x.yaml:13: train.huge: expected an integer from -2147483648 to 2147483647, found '99999999999999999999'");
  EXPECT_EQ(error_of([&] { train.get<size_t>("negative", 1); }),
            "x.yaml:14: train.negative: expected an integer from 0 to 18446744073709551615, found '-1'");
  EXPECT_EQ(error_of([&] { train.get("inf", 0.1); }), "x.yaml:15: train.inf: expected a number, found 'inf'");
  EXPECT_EQ(error_of([&] { train.get("nan", 0.1); }), "x.yaml:16: train.nan: expected a number, found '.nan'");
  EXPECT_EQ(error_of([&] { train.get("big", 0.1); }),
            "x.yaml:17: train.big: expected a number within 1.8e+308 of 0, found '1e999'");
}

TEST(Config, RequiredKeysNameTheirMap) {
  Config config = parse("a: 1\ntrain:\n  lr: 1\n");
  EXPECT_EQ(error_of([&] { config.root().child("train").require<int>("epochs"); }),
            "x.yaml:2: train.epochs: this key is required");
  EXPECT_EQ(error_of([&] { config.root().child("model").require_choice("name", {"FM"}); }),
            "x.yaml: model.name: this key is required");
}

TEST(Config, RangesAndWords) {
  Config config = parse("a: 0\nb: 1\nc: adm\nd: [2, -1]\ne: 3\n");
  const ConfigNode root = config.root();
  EXPECT_EQ(error_of([&] { root.get("a", 1.0, more_than(0)); }), "x.yaml:1: a: must be > 0, found 0");
  EXPECT_EQ(error_of([&] { root.get("b", 0.0, fraction()); }), "x.yaml:2: b: must be >= 0 and < 1, found 1");
  EXPECT_EQ(root.get("b", 0.0, between(0, 1)), 1.0);
  EXPECT_EQ(error_of([&] {
              root.choice("c", "adam", {"sgd", "adam"});
            }),
            "x.yaml:3: c: expected one of sgd, adam; found 'adm'; did you mean 'adam'?");
  EXPECT_EQ(error_of([&] { root.require<std::vector<int>>("d", at_least(0)); }),
            "x.yaml:4: d[1]: must be >= 0, found -1");
  EXPECT_EQ(error_of([&] { root.get("e", 1, at_most(2)); }), "x.yaml:5: e: must be <= 2, found 3");
  EXPECT_EQ(error_of([&] { root.fail("e", "must be odd and even"); }), "x.yaml:5: e: must be odd and even");
}

TEST(Config, OptionalKeys) {
  Config config = parse("a: null\nb: 3\nc: ~\ntrain:\n");
  EXPECT_EQ(config.root().find<int>("a"), std::nullopt);
  EXPECT_EQ(config.root().find<int>("b"), 3);
  EXPECT_FALSE(config.root().has("c"));
  EXPECT_TRUE(config.root().has("b"));
  EXPECT_EQ(config.root().child("train").get("x", 1), 1) << "a key with nothing below is an empty map";
  EXPECT_NE(error_of([&] { config.finish(); }).find("unknown key 'c'"), std::string::npos) << "has() does not read";
}

TEST(Config, DifferentDefaultsForOneKeyAreAnError) {
  Config config = parse("x: 1\n");
  EXPECT_EQ(config.root().get("dim", 8), 8);
  EXPECT_EQ(config.root().get("dim", 8), 8);
  EXPECT_EQ(config.root().get("x", 8), config.root().get("x", 9));
  EXPECT_EQ(error_of([&] { config.root().get("dim", 16); }),
            "x.yaml: dim: two readers take different defaults, 8 and 16; give the key");
}

TEST(ConfigOverride, ReplacesAndAdds) {
  Config config = parse(kText);
  for (const char* set : {"train.lr=0.5", "model.hidden_units=[8, 4, 2]", "features.1.vocab=7", "features[0].vocab=9",
                          "train.extra.deep=text with spaces", "train.empty=", "model.hidden_units[2]=1",
                          "train.epochs=6", "train.epochs=7", "equation=a=b"})
    config.apply_override(set);
  const ConfigNode root = config.root();
  EXPECT_EQ(root.child("train").get("lr", 0.1), 0.5);
  EXPECT_EQ(root.child("train").get("epochs", 1), 7);
  EXPECT_EQ(root.child("train").find<int>("empty"), std::nullopt);
  EXPECT_EQ(root.child("train").child("extra").get("deep", ""), "text with spaces");
  EXPECT_EQ(root.child("model").require<std::vector<int>>("hidden_units"), (std::vector<int>{8, 4, 1}));
  EXPECT_EQ(root.list("features")[0].require<int>("vocab"), 9);
  EXPECT_EQ(root.list("features")[1].require<int>("vocab"), 7);
  EXPECT_EQ(root.require<std::string>("equation"), "a=b");
}

TEST(ConfigOverride, ErrorsNameTheOption) {
  Config config = parse(kText);
  EXPECT_EQ(error_of([&] { config.apply_override("train.lr"); }), "--set 'train.lr': expected key=value");
  EXPECT_NE(error_of([&] { config.apply_override("=1"); }).find("expected dotted keys"), std::string::npos);
  EXPECT_NE(error_of([&] { config.apply_override("a..b=1"); }).find("expected dotted keys"), std::string::npos);
  EXPECT_EQ(error_of([&] { config.apply_override("features.2.vocab=1"); }),
            "--set: features: the list has 2 elements, there is no element 2");
  EXPECT_EQ(error_of([&] { config.apply_override("features.x=1"); }),
            "--set: features: is a list; expected an index, found 'x'");
  EXPECT_EQ(error_of([&] { config.apply_override("train.lr.x=1"); }),
            "--set: train.lr: is a single value, it has no key 'x'");
  EXPECT_EQ(error_of([&] { config.apply_override("train.lr=[1"); }).substr(0, 7), "--set:1");
  config.apply_override("train.epoch=1");
  config.apply_override("train.epochs=few");
  const ConfigNode root = config.root();
  EXPECT_EQ(error_of([&] { root.child("train").get("epochs", 1); }),
            "--set: train.epochs: expected an integer, found 'few'");
  EXPECT_NE(error_of([&] { config.finish(); }).find("--set: unknown key 'train.epoch'; did you mean 'train.epochs'?"),
            std::string::npos);
  EXPECT_NE(error_of([&] { config.apply_override("train.lr=1"); }).find("after the configuration was read"),
            std::string::npos);
}

// Texts that are refused, or that other YAML readers fell over.
void expect_refused(const std::string& text, const std::string& reason) {
  const std::string error = error_of([&] { parse(text); });
  EXPECT_NE(error.find(reason), std::string::npos) << error << "\n  expected: " << reason;
  EXPECT_EQ(error.rfind("x.yaml", 0), 0u) << error;
  EXPECT_LT(error.size(), 400u);
}

TEST(ConfigHostile, KeysGivenTwice) {
  expect_refused("a: 1\nb: 2\na: 3\n", "x.yaml:3: key 'a' is given twice, first on line 1");
  expect_refused("t:\n  u:\n    k: 1\n    k: 2\n", "x.yaml:4: key 't.u.k' is given twice, first on line 3");
  expect_refused("{a: 1, \"a\": 2}", "given twice");
}
TEST(ConfigHostile, AnchorsAliasesTagsAndMerges) {
  expect_refused("a: &x 1\nb: *x\n", "x.yaml:1: anchors and aliases are not supported");
  expect_refused("a: &x [1]\n", "anchors");
  expect_refused("a: &x {b: 1}\n", "anchors");
  expect_refused("a: *x\n", "x.yaml:1");
  expect_refused("a: !!python/object 1\n", "x.yaml:1: the tag");
  expect_refused("a: !include other.yaml\n", "tags are not supported");
  expect_refused("a: !!map {b: 1}\n", "tags are not supported");
  std::string laughs = "a: &a [1,1,1,1,1,1,1,1,1]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) laughs += std::string(i == 0 ? "*" : ",*") + static_cast<char>(c - 1);
    laughs += "]\n";
  }
  expect_refused(laughs, "anchors and aliases are not supported");
}
TEST(ConfigHostile, NestingBeyondTheLimit) {
  const auto nested = [](size_t n) { return "a: " + std::string(n, '[') + std::string(n, ']'); };
  EXPECT_EQ(error_of([&] { parse(nested(63)); }), "no ConfigError");
  expect_refused(nested(64), "nested more than 64 levels deep");
  for (const char* piece : {"[", "{", "- ", "? ", "{a: ", "[[", "!a [", "- - ", "-\n", "? - ", "&a [", ": "})
    for (const size_t times : {size_t{100}, size_t{10000}, size_t{200000}}) {
      std::string text;
      for (size_t i = 0; i < times; ++i) text += piece;
      EXPECT_NE(error_of([&] { parse(text); }), "no ConfigError") << piece << " x " << times;
    }
  std::string steps;
  for (size_t i = 0; i < 1000; ++i) steps += std::string(i, ' ') + "a:\n";
  expect_refused(steps, "nested more than 64 levels deep");
}
TEST(ConfigHostile, SizeAndCharacters) {
  expect_refused(std::string((1 << 20) + 1, ' '), "at most 1048576");
  expect_refused("a: \xff\n", "not valid UTF-8");
  expect_refused(
      "\xff\xfe"
      "a\0:\0",
      "not valid UTF-8");
  expect_refused(std::string("a: 1\nb: \0\n", 10), "x.yaml:2: a control character (0x00)");
  expect_refused("a: \x1b[2J", "0x1b");
  std::string many = "a: [1";
  for (int i = 0; i < 100000; ++i) many += ",1";
  expect_refused(many + "]", "too many values");
  expect_refused(std::string(300, 'k') + ": 1", "a key of 300 bytes");
}
TEST(Config, LongTextsAndListsOfOrdinaryFilesAreRead) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "# " + std::string(60, "-*=#"[i % 4]) + "\n";
  text += "note: |\n";
  for (int i = 0; i < 2000; ++i) text += "  a line of plain text\n";
  text += "ids: [0";
  for (int i = 1; i < 3000; ++i) text += ", " + std::to_string(i);
  text += "]\nfeatures:\n";
  for (int i = 0; i < 1000; ++i)
    text += "  - {name: f" + std::to_string(i) + ", type: categorical, vocab: 100, default: [1, 2]}\n";
  Config config = parse(text);
  EXPECT_EQ(config.root().require<std::vector<int>>("ids").size(), 3000u);
  EXPECT_EQ(config.root().list("features").size(), 1000u);
}
TEST(ConfigHostile, FlowCollectionsThatTheParserWouldQueue) {
  std::string text = "- [1";  // a flow collection where a key may stand
  for (int i = 0; i < 5000; ++i) text += ",1";
  expect_refused(text + "]", "x.yaml:1: a flow collection or text of more than");
}
TEST(ConfigHostile, Structure) {
  expect_refused("a: 1\n---\nb: 2\n", "a second document");
  expect_refused("- 1\n- 2\n", "found a list");
  expect_refused("just text", "found a single value");
  expect_refused("[a]: 1\n", "a key must be a scalar");
  expect_refused("~: 1\n", "a key is empty");
  expect_refused("\"\": 1\n", "a key is empty");
  expect_refused("a: [1, 2\nb: 3\n", "x.yaml:");
  for (const char* open : {"a: \"open", "a: \"open\n", "a: 'open\n", "a: \"open\nb: 1\n", "a: [\"x\n]\n", "a: [1\n"})
    expect_refused(open, "x.yaml:");
  expect_refused("a: b: c\n", "x.yaml:1");
  expect_refused("a:\n \tb: 1\n", "x.yaml:2: a tab in the indentation; use spaces");
  EXPECT_EQ(error_of([&] { parse("# only a comment\n"); }), "no ConfigError");
}

TEST(Config, LoadNamesThePath) { EXPECT_THROW(Config::load("/no/such/file.yaml"), IoError); }

}  // namespace
}  // namespace winnow
