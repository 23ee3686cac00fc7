#include "train/verbs/commands.h"

namespace dae {

void add_doctor(Commands& commands) {
  commands.app
      .add_subcommand("doctor", "what this build and machine have, what a lack costs, and a self-test")
      ->callback([&commands] { commands.verb = [&commands] { return doctor(commands.options); }; });
}

}  // namespace dae
