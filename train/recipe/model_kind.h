// What a kind of model tells the recipe: its own keys, and which of the common tables have an effect on it.
// The list of kinds comes from train/learners; it is declared here so that the recipe knows no learner.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "train/recipe/keys.h"

namespace dae {

struct Recipe;

// The settings of one kind of model. A learner derives from SettingsOf<Own>, with one field for each key.
class Settings {
 public:
  virtual ~Settings() = default;
  virtual std::unique_ptr<Settings> clone() const = 0;
  // Returns the keys with pointers to the fields: "model.z_dim", "loss.kl". A key may stand in any table.
  virtual std::vector<RecipeKey> keys() = 0;
  // Throws Fault::usage for what one key alone cannot show. `file` names the recipe in the message.
  virtual void check(const Recipe&, const std::string& file) const { static_cast<void>(file); }
  // Repairs the settings of a run's recipe.toml that an older version wrote. says(key) tells whether the file
  // has the key.
  virtual void upgrade(const std::function<bool(const char*)>& says) { static_cast<void>(says); }
};

template <class Own>
class SettingsOf : public Settings {
 public:
  std::unique_ptr<Settings> clone() const override {
    return std::make_unique<Own>(static_cast<const Own&>(*this));
  }
};

// One row of the list of kinds, as far as a recipe asks.
struct ModelKind {
  std::string name;                         // the value of model.kind
  std::unique_ptr<Settings> (*settings)();  // returns the defaults
  bool decoupled = false;                   // it has an encoder and a decoder: schedule.kind may be "dae"
  bool upstream = false;                    // it is built on a frozen run: the table [upstream] has an effect
  std::string views = "none";               // the value that data.augment must have
  std::vector<std::string> optimizers = {};  // names for tables such as [optimizer.discriminator]
};

// Returns all kinds, in the order in which messages name them.
const std::vector<ModelKind>& model_kinds();
// Returns the names of the kinds that `holds` as "a|b".
std::string kinds_where(const std::function<bool(const ModelKind&)>& holds);

}  // namespace dae
