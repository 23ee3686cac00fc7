#include "train/recipe/recipe.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <variant>

#include "kernels/device/error.h"
#include "train/recipe/nearest.h"
#include "train/recipe/shipped.h"

namespace dae {

namespace {

struct Check {
  const char* expected;        // in words; for a string the allowed words as a|b; empty: any string
  bool (*holds)(double) = {};  // whether a number is allowed
};
constexpr Check kAny{"a number", [](double v) { return std::isfinite(v); }};
constexpr Check kFlag{"true or false"};
constexpr Check kText{""};
constexpr Check kCount{"an integer of at least 0", [](double v) { return v >= 0; }};
constexpr Check kPositive{"an integer of at least 1", [](double v) { return v >= 1; }};
constexpr Check kPasses{"1 or 2", [](double v) { return v == 1 || v == 2; }};
constexpr Check kWidth{"a number above 0 and at most 8", [](double v) { return v > 0 && v <= 8; }};
constexpr Check kWeight{"a number of at least 0", [](double v) { return v >= 0 && std::isfinite(v); }};
constexpr Check kTemperature{"a number from 0.001 to 1000", [](double v) { return v >= 1e-3 && v <= 1e3; }};
constexpr Check kScale{"a number from 1 to 2^24", [](double v) { return v >= 1 && v <= 0x1p24; }};
constexpr Check kShare{"a number from 0 to 1", [](double v) { return v >= 0 && v <= 1; }};
constexpr Check kBelowOne{"a number from 0 to below 1", [](double v) { return v >= 0 && v < 1; }};
constexpr Check kSwitch{"a number above 0 and below 1", [](double v) { return v > 0 && v < 1; }};

struct Need {
  std::string key;     // another key, or "device"
  std::string values;  // the values that it must have, as a|b; empty: any but 0
};

struct Key {
  std::string name;
  std::variant<bool*, int64_t*, uint64_t*, double*, std::string*> field;
  Check check;
  std::vector<Need> needs = {};  // the key has an effect only if all of them, and theirs, are met
};

// Returns the table of all keys. Reading, --set, the nearest name of an unknown key, the check for an effect,
// and writing all use this table.
std::vector<Key> keys(Recipe& r) {
  const Need toy{"model.kind", "toy"}, vaegan{"model.kind", "vaegan"}, simclr{"model.kind", "simclr"},
      dcgan_simclr{"model.kind", "dcgan-simclr"}, autoencoder{"model.kind", "toy|vae|vaegan"},
      dae{"schedule.kind", "dae"}, by_width{"schedule.weak", "width"}, by_dropout{"schedule.weak", "dropout"},
      files{"data.kind", "cifar10|folder|tensors"}, folder{"data.kind", "folder"}, probed{"probe.every", ""};
  return {
      {"seed", &r.seed, kCount},
      {"dtype", &r.dtype, {"f32|f64|bf16|f16"}},
      {"model.kind", &r.model.kind, {"toy|vae|dcgan|vaegan|simclr|dcgan-simclr"}},
      {"model.z_dim", &r.model.z_dim, kPositive},
      {"model.width", &r.model.width, kWidth, {{"model.kind", "vae|dcgan|vaegan|simclr|dcgan-simclr"}}},
      {"model.discriminator_width",
       &r.model.discriminator_width,
       kWidth,
       {{"model.kind", "dcgan|vaegan|dcgan-simclr"}}},
      {"model.generator_passes", &r.model.generator_passes, kPasses, {vaegan}},
      {"model.encoder_hidden", &r.model.encoder_hidden, kPositive, {toy}},
      {"model.decoder_hidden", &r.model.decoder_hidden, kPositive, {toy}},
      {"model.encoder", &r.model.encoder, kText, {dcgan_simclr}},
      {"model.encoder_hash", &r.model.encoder_hash, kText, {dcgan_simclr}},
      {"model.latent", &r.model.latent, {"sqrt_dim|unit"}, {dcgan_simclr}},
      {"loss.kl", &r.loss.kl, kWeight, {autoencoder}},
      {"loss.reconstruction", &r.loss.reconstruction, kWeight, {autoencoder}},
      {"loss.feature", &r.loss.feature, kWeight, {vaegan}},
      {"loss.feature_generator", &r.loss.feature_generator, kWeight, {vaegan}},
      {"loss.adversarial", &r.loss.adversarial, kWeight, {vaegan}},
      {"loss.balance", &r.loss.balance, kWeight, {vaegan}},
      {"loss.temperature", &r.loss.temperature, kTemperature, {simclr}},
      {"schedule.kind", &r.schedule.kind, {"joint|dae"}},
      {"schedule.weak", &r.schedule.weak, {"width|dropout"}, {dae}},
      {"schedule.width", &r.schedule.width, kWidth, {by_width}},
      {"schedule.drop", &r.schedule.drop, kBelowOne, {by_dropout}},
      {"schedule.drop_kind", &r.schedule.drop_kind, {"channel|element"}, {by_dropout}},
      {"schedule.switch", &r.schedule.switch_at, kSwitch, {dae}},
      {"schedule.switch_step", &r.schedule.switch_step, kCount, {dae}},
      {"schedule.discriminator", &r.schedule.discriminator, {"keep|fresh"}, {dae, vaegan}},
      {"schedule.rates", &r.schedule.rates, {"continue|restart"}, {dae}},
      {"optimizer.lr", &r.optimizer.lr, kWeight},
      {"optimizer.beta1", &r.optimizer.beta1, kBelowOne},
      {"optimizer.beta2", &r.optimizer.beta2, kBelowOne},
      {"optimizer.weight_decay", &r.optimizer.weight_decay, kWeight},
      {"optimizer.decoupled", &r.optimizer.decoupled, kFlag, {{"optimizer.weight_decay", ""}}},
      {"optimizer.decay", &r.optimizer.decay, {"linear|constant"}},
      {"optimizer.ema", &r.optimizer.ema, kBelowOne},
      {"optimizer.loss_scale", &r.optimizer.loss_scale, kScale, {{"dtype", "f16"}}},
      {"train.steps", &r.train.steps, kPositive},
      {"train.batch", &r.train.batch, kPositive},
      {"train.log_every", &r.train.log_every, kPositive},
      {"train.checkpoint_every", &r.train.checkpoint_every, kPositive},
      {"train.sample_every", &r.train.sample_every, kPositive},
      {"train.keep", &r.train.keep, kCount},
      {"train.graph", &r.train.graph, kFlag, {{"device", "cuda"}}},
      {"data.kind", &r.data.kind, {"cifar10|folder|tensors|toy|procedural"}},
      {"data.path", &r.data.path, kText, {files}},
      {"data.shuffle", &r.data.shuffle, kFlag},
      {"data.flip",
       &r.data.flip,
       kFlag,
       {{"data.kind", "cifar10|folder|tensors|procedural"}, {"data.augment", "none"}}},
      {"data.size", &r.data.size, kPositive, {{"data.kind", "cifar10|folder|procedural"}}},
      {"data.count", &r.data.count, kCount},
      {"data.filter", &r.data.filter, {"nearest|bilinear|bicubic|lanczos|area"}, {folder}},
      {"data.crop", &r.data.crop, {"centre|random"}, {folder}},
      {"data.variance", &r.data.variance, kWeight, {{"data.kind", "toy"}}},
      {"data.augment", &r.data.augment, {"none|simclr"}},
      {"probe.every", &r.probe.every, kCount},
      {"probe.train", &r.probe.train, kPositive, {probed}},
      {"probe.test", &r.probe.test, kPositive, {probed}},
      {"probe.neighbours", &r.probe.neighbours, kPositive, {probed}},
      {"probe.temperature", &r.probe.temperature, kTemperature, {probed}},
  };
}

bool is_choice(const std::string& choices, const std::string& word) {
  return word.find('|') == std::string::npos &&
         ("|" + choices + "|").find("|" + word + "|") != std::string::npos;
}

const Key& find(const std::vector<Key>& table, const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const Key& key : table) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  fail(Fault::usage, "{}: unknown key \"{}\": expected a key of the recipe table; the nearest is \"{}\"",
       where, name, nearest(name, names));
}

std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (static_cast<unsigned char>(c) < 32 || c == 127) out += fmt::format("\\u{:04X}", int(c));
    else out += c;
  }
  return out + "\"";
}

std::string text_of(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  std::string text = out.str();
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  return text;
}

// Writes `node` into the key's field. Throws Fault::usage if it has another type or is out of range.
void assign(const Key& key, const toml::node& node, const std::string& where) {
  const auto wrong = [&](const std::string& expected) {
    fail(Fault::usage, "{}: {}: expected {}, found {}", where, key.name, expected, text_of(node));
  };
  const auto check_number = [&](double v) {
    if (!key.check.holds(v)) wrong(key.check.expected);
  };
  if (auto* const* flag = std::get_if<bool*>(&key.field)) {
    if (!node.is_boolean()) wrong(key.check.expected);
    **flag = *node.value<bool>();
  } else if (auto* const* text = std::get_if<std::string*>(&key.field)) {
    const std::string choices = key.check.expected;
    if (!node.is_string()) wrong(choices.empty() ? "a string" : "one of " + choices);
    const std::string value = *node.value<std::string>();
    if (!choices.empty() && !is_choice(choices, value)) wrong("one of " + choices);
    **text = value;
  } else if (auto* const* number = std::get_if<double*>(&key.field)) {
    if (!node.is_number()) wrong(key.check.expected);
    const double value = *node.value<double>();
    check_number(value);
    **number = value;
  } else {
    if (!node.is_integer()) wrong(key.check.expected);
    const int64_t value = node.as_integer()->get();
    check_number(double(value));
    if (auto* const* count = std::get_if<int64_t*>(&key.field)) **count = value;
    else **std::get_if<uint64_t*>(&key.field) = uint64_t(value);
  }
}

std::string value_of(const Key& key) {
  return std::visit([](const auto* value) { return fmt::format("{}", *value); }, key.field);
}

// Returns the first need that is not met, or null if the key has an effect.
const Need* unmet(const std::vector<Key>& table, const Key& key, Device device) {
  for (const Need& need : key.needs) {
    if (need.key == "device") {
      if (need.values != name(device)) return &need;
      continue;
    }
    const Key& other = find(table, need.key, key.name);
    const std::string value = value_of(other);
    if (need.values.empty() ? value == "0" : !is_choice(need.values, value)) return &need;
    if (const Need* deeper = unmet(table, other, device)) return deeper;
  }
  return nullptr;
}

// Returns whether the key turns something off (no flips, a weight of 0). That may stand in a recipe of any
// model.
bool says_no(const Key& key) {
  const std::string value = value_of(key);
  return value == "false" || value == "0";
}

struct Written {  // a key that the user wrote, and where
  const Key* key;
  std::string where;
};

// Returns one line that says why a key has no effect; empty if it has one.
std::string inert(const std::vector<Key>& table, const Written& written, Device device) {
  const Need* need = unmet(table, *written.key, device);
  if (!need || says_no(*written.key)) return "";
  const std::string found =
      need->key == "device" ? name(device) : value_of(find(table, need->key, written.where));
  const std::string with = need->key == "model.kind" ? "on a " + found : "with " + need->key + " " + found;
  return fmt::format("{}: {} has no effect {}: expected {} {}; leave it out", written.where,
                     written.key->name, with, need->key,
                     need->values.empty() ? "other than 0" : need->values);
}

void refuse(const std::string& line) {
  if (!line.empty()) fail(Fault::usage, "{}", line);
}

// Assigns every key of a TOML table and appends it to `written`.
void read_table(const std::vector<Key>& table, const toml::table& toml, const std::string& prefix,
                const std::string& file, std::vector<Written>& written) {
  for (const auto& [name, node] : toml) {
    const std::string full = prefix + std::string(name.str());
    const std::string where = fmt::format("recipe: {}:{}", file, node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      const bool known = std::any_of(table.begin(), table.end(), [&](const Key& key) {
        return key.name.compare(0, full.size() + 1, full + ".") == 0;
      });
      if (!known)
        find(table, inner->empty() ? full : full + "." + std::string(inner->begin()->first.str()), where);
      read_table(table, *inner, full + ".", file, written);
    } else {
      const Key& key = find(table, full, where);
      assign(key, node, where);
      written.push_back({&key, where});
    }
  }
}

std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  return out;
}

toml::table parse(const std::string& text, const std::string& file) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    fail(Fault::usage, "recipe: {}:{}:{}: expected TOML, found an error: {}", file, e.source().begin.line,
         e.source().begin.column, one_line(e.description()));
  }
}

// Applies "a.b=value". The value is in TOML, or a bare word.
Written apply(const std::vector<Key>& table, const std::string& set) {
  const std::string where = "--set " + one_line(set);
  const size_t equals = set.find('=');
  if (equals == std::string::npos || equals == 0)
    fail(Fault::usage, "{}: expected key=value, found no '='; write for example --set train.steps=100",
         where);
  const Key& key = find(table, set.substr(0, equals), where);
  const std::string value = set.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {}
  const bool is_text = std::holds_alternative<std::string*>(key.field);
  const toml::node* node = parsed.size() == 1 ? parsed.get("value") : nullptr;
  if (!node || (is_text && !node->is_string())) assign(key, toml::value<std::string>(value), where);
  else assign(key, *node, where);
  return {&key, where};
}

// The text of a recipe and where it comes from: a file's path, or the name of a shipped recipe.
struct Source {
  std::string name, text;
};

Source source_of(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none))
    for (const ShippedRecipe& recipe : kShippedRecipes)
      if (path == recipe.name || path == std::string(recipe.name) + ".toml")
        return {recipe.name, recipe.text};
  if (std::filesystem::is_directory(path, none))
    fail(Fault::usage, "recipe: {}: expected a file, found a folder; name a .toml file", path);
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (in) return {path, text.str()};
  if (std::filesystem::exists(path, none))
    fail(Fault::usage, "recipe: {}: expected a readable file, found one that cannot be read", path);
  std::vector<std::string> names;
  for (const ShippedRecipe& recipe : kShippedRecipes) names.push_back(recipe.name);
  const bool bare = path.find('/') == std::string::npos;
  fail(Fault::usage, "recipe: {}: expected a TOML file or a shipped recipe ({}), found no such file{}", path,
       fmt::join(names, ", "), bare ? "; the nearest is " + nearest(path, names) : "");
}

bool says(const std::vector<Written>& written, const std::string& key) {
  return std::any_of(written.begin(), written.end(), [&](const Written& w) { return w.key->name == key; });
}

// Sets loss.reconstruction where the file leaves it out: 1 for a model that has no other loss, else 0. Runs
// of older versions wrote 1 for a VAEGAN and did not use it; they are known by the missing loss.balance, and
// their value becomes 0.
void settle_reconstruction(Recipe& recipe, const std::vector<Written>& written, bool of_run) {
  const std::string& kind = recipe.model.kind;
  if (kind == "vaegan" && of_run && !says(written, "loss.balance")) recipe.loss.reconstruction = 0;
  if ((kind == "toy" || kind == "vae") && !says(written, "loss.reconstruction"))
    recipe.loss.reconstruction = 1;
}

// Checks conditions that involve several keys.
void check_together(const Recipe& recipe, const std::string& file) {
  const std::string& kind = recipe.model.kind;
  if (kind != "toy" && kind != "vae" && kind != "vaegan" && recipe.schedule.kind == "dae")
    fail(Fault::usage,
         "recipe: {}: schedule.kind: expected \"joint\" for a {}, which has no encoder to decouple, found "
         "\"dae\"",
         file, kind);
  if (recipe.schedule.switch_step >= recipe.train.steps)
    fail(Fault::usage, "recipe: {}: schedule.switch_step: expected a step before the last, {}, found {}",
         file, recipe.train.steps, recipe.schedule.switch_step);
  const std::string augment = kind == "simclr" ? "simclr" : "none";
  if (recipe.data.augment != augment)
    fail(Fault::usage, "recipe: {}: data.augment: expected \"{}\" for a {}, found \"{}\"", file, augment,
         kind, recipe.data.augment);
  if (kind == "dcgan-simclr" && recipe.model.encoder.empty())
    fail(Fault::usage,
         "recipe: {}: model.encoder: expected a SimCLR run or a safetensors file of its weights, found "
         "nothing; "
         "train one, then add --set model.encoder=RUN",
         file);
}

}  // namespace

Recipe load_recipe(const std::string& path, const std::vector<std::string>& sets, Device device, Sets kind) {
  const auto [file, text] = source_of(path);
  Recipe recipe;
  recipe.device = device;
  const std::vector<Key> table = keys(recipe);
  std::vector<Written> written;
  read_table(table, parse(text, file), "", file, written);
  // The file is checked before --set is applied, because --set may turn off what the file's keys belong to. A
  // key that has an effect on CUDA passes on any device. Older versions wrote every key into a run's own
  // file, so that file is exempt.
  const bool of_run = std::filesystem::path(file).filename() == "recipe.toml";
  if (!recipe.model.kind.empty() && !of_run)
    for (const Written& w : written) refuse(inert(table, w, Device::cuda));
  settle_reconstruction(recipe, written, of_run);
  written.clear();
  for (const std::string& set : sets) written.push_back(apply(table, set));
  // Paths are made absolute, so that a run can be resumed from any folder.
  for (std::string* path : {&recipe.data.path, &recipe.model.encoder})
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal().string();
  if (recipe.model.kind.empty())
    fail(Fault::usage,
         "recipe: {}: model.kind: expected one of toy|vae|dcgan|vaegan|simclr|dcgan-simclr, found nothing",
         file);
  check_together(recipe, file);
  if (kind == Sets::own)
    for (const Written& w : written) refuse(inert(table, w, device));
  return recipe;
}

void check_effect(const std::vector<std::string>& sets, const std::vector<Recipe>& recipes) {
  for (const std::string& set : sets) {
    std::string line;
    for (const Recipe& recipe : recipes) {
      Recipe copy = recipe;
      const std::vector<Key> table = keys(copy);
      const Key& key = find(table, set.substr(0, set.find('=')), set);
      line = inert(table, {&key, "--set " + one_line(set)}, recipe.device);
      if (line.empty()) break;
    }
    refuse(line);
  }
}

std::vector<std::string> recipe_keys() {
  Recipe recipe;
  std::vector<std::string> names;
  for (const Key& key : keys(recipe)) names.push_back(key.name);
  return names;
}

std::string to_toml(const Recipe& recipe) {
  Recipe copy = recipe;
  std::string out, section;
  const std::vector<Key> table = keys(copy);
  for (const Key& key : table) {
    if (unmet(table, key, Device::cuda)) continue;  // a run does not record its device
    const size_t dot = key.name.find('.');
    if (dot != std::string::npos && key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      out += "\n[" + section + "]\n";
    }
    out += key.name.substr(dot == std::string::npos ? 0 : dot + 1) + " = ";
    const std::string value = value_of(key);
    out += std::holds_alternative<std::string*>(key.field) ? toml_string(value) : value;
    out += "\n";
  }
  return out;
}

}  // namespace dae
