#include "train/recipe/recipe.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "kernels/device/error.h"
#include "train/recipe/shipped.h"
#include "train/recipe/words.h"

namespace dae {

namespace {

const ModelKind* find_kind(const std::string& name) {
  for (const ModelKind& kind : model_kinds())
    if (kind.name == name) return &kind;
  return nullptr;
}
std::string all_kinds() {
  return kinds_where([](const ModelKind&) { return true; });
}

// Returns the names of the tables in the order in which to_toml() writes them. Tables that only a model's own
// keys know follow [loss].
std::vector<std::string> table_order(const std::vector<RecipeKey>& own) {
  std::vector<std::string> order = {"", "model", "loss"};
  for (const RecipeKey& key : own)
    if (const std::string table = key.name.substr(0, key.name.rfind('.'));
        table != "schedule" && std::find(order.begin(), order.end(), table) == order.end())
      order.push_back(table);
  for (const char* common : {"upstream", "schedule", "optimizer"}) order.push_back(common);
  return order;
}

std::string table_of(const RecipeKey& key) {
  const size_t dot = key.name.rfind('.');
  return dot == std::string::npos ? "" : key.name.substr(0, dot);
}

// Returns the table of all keys of a recipe of its kind, the common ones and the model's own. Reading, --set,
// the nearest name of an unknown key, the check for an effect, and writing all use this table.
std::vector<RecipeKey> keys(Recipe& r) {
  const Need dae{"schedule.kind", "dae"}, by_width{"schedule.weak", "width"},
      by_dropout{"schedule.weak", "dropout"}, files{"data.kind", "cifar10|folder|tensors"},
      folder{"data.kind", "folder"}, probed{"probe.every", ""},
      built_on_a_run{"model.kind", kinds_where([](const ModelKind&kind) { return kind.upstream; })};
  std::vector<RecipeKey> table = {
      {"seed", &r.seed, kCount},
      {"dtype", &r.dtype, {"f32|f64|bf16|f16"}},
      {"model.kind", &r.model.kind, kText},
      {"upstream.run", &r.upstream.run, kText, {built_on_a_run}},
      {"upstream.hash", &r.upstream.hash, kText, {built_on_a_run}},
      {"schedule.kind", &r.schedule.kind, {"joint|dae"}},
      {"schedule.weak", &r.schedule.weak, {"width|dropout"}, {dae}},
      {"schedule.width", &r.schedule.width, kWidth, {by_width}},
      {"schedule.drop", &r.schedule.drop, kBelowOne, {by_dropout}},
      {"schedule.drop_kind", &r.schedule.drop_kind, {"channel|element"}, {by_dropout}},
      {"schedule.switch", &r.schedule.switch_at, kSwitch, {dae}},
      {"schedule.switch_step", &r.schedule.switch_step, kCount, {dae}},
      {"schedule.rates", &r.schedule.rates, {"continue|restart"}, {dae}},
      {"optimizer.lr", &r.optimizer.lr, kWeight},
      {"optimizer.beta1", &r.optimizer.beta1, kBelowOne},
      {"optimizer.beta2", &r.optimizer.beta2, kBelowOne},
      {"optimizer.weight_decay", &r.optimizer.weight_decay, kWeight},
      {"optimizer.decoupled", &r.optimizer.decoupled, kFlag, {{"optimizer.weight_decay", ""}}},
      {"optimizer.decay", &r.optimizer.decay, {"linear|cosine|constant"}},
      {"optimizer.warmup", &r.optimizer.warmup, kCount, {{"optimizer.decay", "cosine"}}},
      {"optimizer.ema", &r.optimizer.ema, kBelowOne},
      {"optimizer.loss_scale", &r.optimizer.loss_scale, kScale, {{"dtype", "f16"}}},
  };
  if (const ModelKind* kind = find_kind(r.model.kind))
    for (const std::string& name : kind->optimizers) {
      OptimizerChange& change = r.optimizers[name];
      const std::string prefix = "optimizer." + name + ".";
      for (RecipeKey key :
           {RecipeKey{"lr", &change.lr, kWeight}, RecipeKey{"beta1", &change.beta1, kBelowOne},
            RecipeKey{"beta2", &change.beta2, kBelowOne},
            RecipeKey{"weight_decay", &change.weight_decay, kWeight},
            RecipeKey{"decoupled", &change.decoupled, kFlag}}) {
        key.name = prefix + key.name;
        table.push_back(key);
      }
    }
  for (const RecipeKey& key : std::vector<RecipeKey>{
           {"train.steps", &r.train.steps, kPositive},
           {"train.batch", &r.train.batch, kPositive},
           {"train.log_every", &r.train.log_every, kPositive},
           {"train.checkpoint_every", &r.train.checkpoint_every, kPositive},
           {"train.sample_every", &r.train.sample_every, kPositive},
           {"train.keep", &r.train.keep, kCount},
           {"train.graph", &r.train.graph, kFlag, {{"device", "cuda"}}},
           {"data.kind", &r.data.kind, {"cifar10|folder|tensors|toy|procedural"}},
           {"data.path", &r.data.path, kText, {files}},
           {"data.validation", &r.data.validation, kText, {files}},
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
       })
    table.push_back(key);
  if (!r.own) return table;
  const std::vector<RecipeKey> own = r.own->keys();
  table.insert(table.end(), own.begin(), own.end());
  const std::vector<std::string> order = table_order(own);
  const auto rank = [&](const RecipeKey& key) {
    return std::find(order.begin(), order.end(), table_of(key)) - order.begin();
  };
  std::stable_sort(table.begin(), table.end(),
                   [&](const RecipeKey& a, const RecipeKey& b) { return rank(a) < rank(b); });
  return table;
}

Recipe defaults(const std::string& kind) {
  Recipe recipe;
  recipe.model.kind = kind;
  if (const ModelKind* found = find_kind(kind)) recipe.own = found->settings();
  return recipe;
}

const RecipeKey* find(const std::vector<RecipeKey>& table, const std::string& name) {
  for (const RecipeKey& key : table)
    if (key.name == name) return &key;
  return nullptr;
}

// Returns the kinds that have the key, as "a|b".
std::string kinds_with(const std::string& name) {
  return kinds_where([&](const ModelKind& kind) {
    Recipe recipe = defaults(kind.name);
    return find(keys(recipe), name) != nullptr;
  });
}

[[noreturn]] void unknown(const std::string& name, const std::string& where) {
  fail(Fault::usage, "{}: unknown key \"{}\": expected a key of the recipe table; the nearest is \"{}\"",
       where, name, nearest(name, recipe_keys()));
}

// Names of keys in older versions.
std::string renamed(const std::string& name) {
  if (name == "model.encoder") return "upstream.run";
  if (name == "model.encoder_hash") return "upstream.hash";
  return name;
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
void assign(const RecipeKey& key, const toml::node& node, const std::string& where) {
  const auto wrong = [&](const std::string& expected) {
    fail(Fault::usage, "{}: {}: expected {}, found {}", where, key.name, expected, text_of(node));
  };
  const auto flag = [&] {
    if (!node.is_boolean()) wrong(key.check.expected);
    return *node.value<bool>();
  };
  const auto text = [&] {
    const std::string choices = key.check.expected;
    if (!node.is_string()) wrong(choices.empty() ? "a string" : "one of " + choices);
    const std::string value = *node.value<std::string>();
    if (!choices.empty() && !is_choice(choices, value)) wrong("one of " + choices);
    return value;
  };
  const auto number = [&] {
    if (!node.is_number() || !key.check.holds(*node.value<double>())) wrong(key.check.expected);
    return *node.value<double>();
  };
  const auto integer = [&](const toml::node& of) {
    if (!of.is_integer() || !key.check.holds(double(of.as_integer()->get()))) wrong(key.check.expected);
    return of.as_integer()->get();
  };
  const auto list = [&] {
    std::vector<int64_t> values;
    if (!node.is_array()) wrong(fmt::format("a list of integers, each {}", key.check.expected));
    for (const toml::node& one : *node.as_array()) values.push_back(integer(one));
    return values;
  };
  std::visit(
      [&](auto* field) {
        using T = std::remove_reference_t<decltype(*field)>;
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::optional<bool>>) *field = flag();
        else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::optional<std::string>>)
          *field = text();
        else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::optional<double>>)
          *field = number();
        else if constexpr (std::is_same_v<T, std::vector<int64_t>>) *field = list();
        else *field = T(integer(node));
      },
      key.field);
}

// Returns the first need that is not met, or null if the key has an effect.
const Need* unmet(const std::vector<RecipeKey>& table, const RecipeKey& key, Device device) {
  for (const Need& need : key.needs) {
    if (need.key == "device") {
      if (need.values != name(device)) return &need;
      continue;
    }
    const RecipeKey* other = find(table, need.key);
    if (!other) return &need;
    const std::string value = value_of(*other);
    if (need.values.empty() ? value == "0" : !is_choice(need.values, value)) return &need;
    if (const Need* deeper = unmet(table, *other, device)) return deeper;
  }
  return nullptr;
}

struct Written {  // a key that the user wrote, and where
  const RecipeKey* key;
  std::string where;
};

// Returns whether the value turns something off (no flips, a weight of 0). That may stand in a recipe of any
// model.
bool says_no(const std::string& value) { return value == "false" || value == "0" || value == "0.0"; }

std::string no_effect(const std::string& where, const std::string& key, const std::string& with,
                      const std::string& needed, const std::string& values) {
  return fmt::format("{}: {} has no effect {}: expected {} {}; leave it out", where, key, with, needed,
                     values.empty() ? "other than 0" : values);
}

// Returns one line that says why a key has no effect; empty if it has one.
std::string inert(const std::vector<RecipeKey>& table, const Written& written, Device device) {
  const Need* need = unmet(table, *written.key, device);
  if (!need || says_no(value_of(*written.key))) return "";
  const std::string found = need->key == "device" ? name(device) : value_of(*find(table, need->key));
  return no_effect(written.where, written.key->name,
                   need->key == "model.kind" ? "on a " + found : "with " + need->key + " " + found, need->key,
                   need->values);
}
// The same for a key that only other kinds of model have.
std::string foreign(const std::string& key, const std::string& kind, const std::string& where) {
  return no_effect(where, key, "on a " + kind, "model.kind", kinds_with(key));
}

void refuse(const std::string& line) {
  if (!line.empty()) fail(Fault::usage, "{}", line);
}

toml::table parse(const std::string& text, const std::string& file) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    fail(Fault::usage, "recipe: {}:{}:{}: expected TOML, found an error: {}", file, e.source().begin.line,
         e.source().begin.column, one_line(std::string(e.description())));
  }
}

// Calls f(key, node, where) for each value of a TOML table and of the tables in it.
template <class F>
void each_value(const toml::table& toml, const std::string& prefix, const std::string& file, const F& f) {
  for (const auto& [name, node] : toml) {
    const std::string full = prefix + std::string(name.str());
    const std::string where = fmt::format("recipe: {}:{}", file, node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      if (inner->empty()) {
        const std::vector<std::string> all = recipe_keys();
        if (std::none_of(all.begin(), all.end(),
                         [&](const std::string& key) { return key.starts_with(full + "."); }))
          unknown(full, where);
      }
      each_value(*inner, full + ".", file, f);
    } else {
      f(renamed(full), node, where);
    }
  }
}

enum class Foreign { refused, skipped };  // keys that only other kinds of model have

// Assigns every key of a file and returns what it wrote.
std::vector<Written> read_file(const std::vector<RecipeKey>& table, const toml::table& toml,
                               const std::string& kind, const std::string& file, Foreign others) {
  std::vector<Written> written;
  each_value(toml, "", file, [&](const std::string& name, const toml::node& node, const std::string& where) {
    if (const RecipeKey* key = find(table, name)) {
      assign(*key, node, where);
      written.push_back({key, where});
    } else if (kinds_with(name).empty()) {
      unknown(name, where);
    } else if (others == Foreign::refused && !says_no(text_of(node))) {
      refuse(foreign(name, kind, where));
    }
  });
  return written;
}

// The parts of "a.b=value".
struct Setting {
  std::string key, value, where;
};
Setting split(const std::string& set) {
  const std::string where = "--set " + one_line(set);
  const size_t equals = set.find('=');
  if (equals == std::string::npos || equals == 0)
    fail(Fault::usage, "{}: expected key=value, found no '='; write for example --set train.steps=100",
         where);
  return {renamed(set.substr(0, equals)), set.substr(equals + 1), where};
}

// Applies a setting, whose value is in TOML or a bare word. Returns the key, or null if only other kinds have
// it.
const RecipeKey* apply_setting(const std::vector<RecipeKey>& table, const Setting& set) {
  const RecipeKey* key = find(table, set.key);
  if (!key && kinds_with(set.key).empty()) unknown(set.key, set.where);
  if (!key) return nullptr;
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + set.value);
  } catch (const toml::parse_error&) {}
  const toml::node* node = parsed.size() == 1 ? parsed.get("value") : nullptr;
  if (!node || (takes_text(*key) && !node->is_string()))
    assign(*key, toml::value<std::string>(set.value), set.where);
  else assign(*key, *node, set.where);
  return key;
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

// Returns the kind of model that the file names, or "" if it names none. Throws Fault::usage for one that
// does not exist.
std::string kind_in(const toml::table& toml, const std::string& file) {
  std::string kind;
  each_value(toml, "", file, [&](const std::string& name, const toml::node& node, const std::string& where) {
    if (name == "model.kind") assign({name, &kind, {all_kinds().c_str()}}, node, where);
  });
  return kind;
}

// Checks conditions that involve several keys.
void check_together(const Recipe& recipe, const std::string& file) {
  const ModelKind& kind = *find_kind(recipe.model.kind);
  if (!kind.decoupled && recipe.schedule.kind == "dae")
    fail(Fault::usage,
         "recipe: {}: schedule.kind: expected \"joint\" for a {}, which has no encoder to decouple, found "
         "\"dae\"",
         file, kind.name);
  if (recipe.schedule.switch_step >= recipe.train.steps)
    fail(Fault::usage, "recipe: {}: schedule.switch_step: expected a step before the last, {}, found {}",
         file, recipe.train.steps, recipe.schedule.switch_step);
  if (recipe.data.augment != kind.views)
    fail(Fault::usage, "recipe: {}: data.augment: expected \"{}\" for a {}, found \"{}\"", file, kind.views,
         kind.name, recipe.data.augment);
  recipe.own->check(recipe, file);
}

}  // namespace

std::string kinds_where(const std::function<bool(const ModelKind&)>& holds) {
  std::string names;
  for (const ModelKind& kind : model_kinds())
    if (holds(kind)) names += (names.empty() ? "" : "|") + kind.name;
  return names;
}

Recipe load_recipe(const std::string& path, const std::vector<std::string>& sets, Device device,
                   Sets belong) {
  const auto [file, text] = source_of(path);
  const toml::table toml = parse(text, file);
  // Older versions wrote every key into a run's own file, so that file may hold keys without an effect.
  const bool of_run = std::filesystem::path(file).filename() == "recipe.toml";
  const std::string written_kind = kind_in(toml, file);
  const std::string kinds = all_kinds();
  std::string kind = written_kind;
  for (const std::string& set : sets)
    if (const Setting s = split(set); s.key == "model.kind")
      apply_setting({{s.key, &kind, {kinds.c_str()}}}, s);
  if (!written_kind.empty() && !of_run) {
    // The file is checked before --set is applied, because --set may turn off what the file's keys belong to.
    // A key that has an effect on CUDA passes on any device.
    Recipe alone = defaults(written_kind);
    const std::vector<RecipeKey> table = keys(alone);
    for (const Written& w : read_file(table, toml, written_kind, file, Foreign::refused))
      refuse(inert(table, w, Device::cuda));
  }
  Recipe recipe = defaults(kind);
  recipe.device = device;
  const std::vector<RecipeKey> table = keys(recipe);
  const std::vector<Written> of_file = read_file(table, toml, kind, file, Foreign::skipped);
  if (kind.empty())
    fail(Fault::usage, "recipe: {}: model.kind: expected one of {}, found nothing", file, all_kinds());
  recipe.model.kind = kind;
  if (of_run)
    recipe.own->upgrade([&](const char* name) {
      return std::any_of(of_file.begin(), of_file.end(),
                         [&](const Written& w) { return w.key->name == name; });
    });
  std::vector<Written> of_sets;
  for (const std::string& set : sets) {
    const Setting s = split(set);
    if (const RecipeKey* key = apply_setting(table, s)) of_sets.push_back({key, s.where});
    else if (belong == Sets::own && !says_no(s.value)) refuse(foreign(s.key, kind, s.where));
  }
  // Paths are made absolute, so that a run can be resumed from any folder.
  const auto absolute = [](std::string& path) {
    if (!path.empty()) path = std::filesystem::absolute(path).lexically_normal().string();
  };
  absolute(recipe.data.path), absolute(recipe.upstream.run);
  if (recipe.data.validation) absolute(*recipe.data.validation);
  check_together(recipe, file);
  if (belong == Sets::own)
    for (const Written& w : of_sets) refuse(inert(table, w, device));
  return recipe;
}

Recipe of_kind(const std::string& kind, const std::vector<std::string>& sets) {
  Recipe recipe = defaults(kind);
  if (!recipe.own) fail(Fault::usage, "model.kind: expected one of {}, found \"{}\"", all_kinds(), kind);
  for (const std::string& one : sets) set(recipe, one);
  return recipe;
}

void set(Recipe& recipe, const std::string& key_and_value) {
  const Setting s = split(key_and_value);
  if (!apply_setting(keys(recipe), s)) refuse(foreign(s.key, recipe.model.kind, s.where));
}

std::string value(const Recipe& recipe, const std::string& key) {
  Recipe copy = recipe;
  const std::vector<RecipeKey> table = keys(copy);
  const RecipeKey* found = find(table, key);
  return found ? value_of(*found) : "";
}

double number(const Recipe& recipe, const std::string& key) { return std::stod(value(recipe, key)); }

void check_effect(const std::vector<std::string>& sets, const std::vector<Recipe>& recipes) {
  for (const std::string& set : sets) {
    const Setting s = split(set);
    std::string line;
    for (const Recipe& recipe : recipes) {
      Recipe copy = recipe;
      const std::vector<RecipeKey> table = keys(copy);
      const RecipeKey* key = find(table, s.key);
      line = key                ? inert(table, {key, s.where}, recipe.device)
             : says_no(s.value) ? ""
                                : foreign(s.key, recipe.model.kind, s.where);
      if (line.empty()) break;
    }
    refuse(line);
  }
}

std::vector<std::string> recipe_keys() {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const ModelKind& kind : model_kinds()) {
    Recipe recipe = defaults(kind.name);
    for (const RecipeKey& key : keys(recipe))
      if (seen.insert(key.name).second) names.push_back(key.name);
  }
  return names;
}

std::string to_toml(const Recipe& recipe) {
  Recipe copy = recipe;
  std::string out, section;
  const std::vector<RecipeKey> table = keys(copy);
  for (const RecipeKey& key : table) {
    if (!is_given(key) || unmet(table, key, Device::cuda)) continue;  // a run does not record its device
    if (const std::string of = table_of(key); of != section) out += "\n[" + (section = of) + "]\n";
    out += key.name.substr(section.empty() ? 0 : section.size() + 1) + " = " + toml_of(key) + "\n";
  }
  return out;
}

}  // namespace dae
