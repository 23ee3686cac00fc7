#include "train/verbs/commands.h"

namespace dae {

namespace {

void add_train(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("train", "train a recipe into a run folder");
  const auto t = std::make_shared<TrainArguments>();
  sub->add_option(
      "recipe", t->recipe,
      "TOML file or the name of a shipped recipe (see --list); with --resume and no --out: the run");
  sub->add_option("--set", t->sets, "key=value in place of the recipe's, e.g. train.steps=100")
      ->allow_extra_args(false);
  sub->add_option("--out", t->out, "run folder");
  CLI::Option* init = sub->add_option("--init", t->init,
                                      "weights to start from: safetensors, .pth, .ckpt, .npz or RUN[@STEP]");
  CLI::Option* resume =
      sub->add_flag("--resume", t->resume, "go on from the run folder's last checkpoint: --resume RUN");
  sub->add_option("--stage", t->stage, "2: start with the second stage")->check(CLI::Range(1, 2));
  CLI::Option* from =
      sub->add_option("--from", t->from, "RUN or RUN@STEP: the stage-1 checkpoint of --stage 2");
  const auto only_plan = std::make_shared<bool>(false);
  sub->add_flag("--plan", *only_plan, "train nothing: parameters, FLOPs, memory and time that it would take")
      ->excludes(init)
      ->excludes(resume)
      ->excludes(from);
  const auto only_list = std::make_shared<bool>(false);
  sub->add_flag("--list", *only_list, "train nothing: the shipped recipes, and what each is");
  sub->callback([&commands, t, only_plan, only_list] {
    if (*only_list) {
      commands.verb = [&commands] { return list_recipes(commands.options); };
      return;
    }
    if (t->resume && t->out.empty()) std::swap(t->recipe, t->out);
    if (t->recipe.empty() && !t->resume) throw CLI::RequiredError("recipe");
    if (!*only_plan && t->out.empty()) throw CLI::RequiredError(t->resume ? "a run folder" : "--out");
    commands.verb = [&commands, t, only_plan] { return (*only_plan ? plan : train)(*t, commands.options); };
  });
}

void add_picture(Commands& commands, const char* name, const char* what,
                 int (*f)(const PictureArguments&, const Options&)) {
  CLI::App* sub = commands.app.add_subcommand(name, what);
  const auto p = std::make_shared<PictureArguments>();
  sub->add_option("run", p->run, "run folder, or RUN@STEP")->required();
  sub->add_option("--count", p->count, "images")->check(CLI::Range(1, 1000000))->capture_default_str();
  sub->add_option("--out", p->out, "picture.png, a grid, arrays.npz, or a folder for a PNG of each");
  sub->add_flag("--raw", p->raw, kRaw);
  sub->add_option("--set", p->sets, "key=value in place of the recipe's, e.g. data.path=FOLDER")
      ->allow_extra_args(false);
  sub->callback([&commands, p, f] { commands.verb = [&commands, p, f] { return f(*p, commands.options); }; });
}

}  // namespace

void add_training(Commands& commands) {
  add_train(commands);
  add_picture(commands, "sample", "draw images from a trained run", sample);
  add_picture(commands, "reconstruct", "images of the data beside their reconstructions", reconstruct);
}

}  // namespace dae
