#include "train/verbs/commands.h"

namespace dae {

namespace {

void add_convert(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("convert", "weights of any format into a safetensors file");
  const auto c = std::make_shared<ConvertArguments>();
  sub->add_option("in", c->in, "safetensors, .pth, .pt, .ckpt, .npz, .npy, or RUN[@STEP]")->required();
  sub->add_option("out", c->out, "the file to write, named .safetensors")->required();
  sub->add_option("--only", c->only, "the tensors whose names begin so, before --prefix; may be repeated")
      ->allow_extra_args(false);
  sub->add_option("--prefix", c->prefixes, "old=new: names that begin with old begin with new")
      ->allow_extra_args(false);
  sub->add_option("--dtype", c->dtype, "of the floating-point tensors: f32, f64, bf16 or f16")
      ->check(CLI::IsMember({"f32", "f64", "bf16", "f16"}));
  sub->add_option("--model", c->model,
                  "recipe: print what is missing, unexpected or misshaped; exit code 1 if any is");
  sub->add_option("--set", c->sets, "key=value in place of the recipe's")->allow_extra_args(false);
  sub->add_option("--stage", c->stage, "2: the model of the second stage")->check(CLI::Range(1, 2));
  sub->callback(
      [&commands, c] { commands.verb = [&commands, c] { return convert_weights(*c, commands.options); }; });
}

void add_forward(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("forward", "run a model's networks on tensors of a file");
  const auto f = std::make_shared<ForwardArguments>();
  sub->add_option("recipe", f->recipe, "TOML file or the name of a shipped recipe")->required();
  sub->add_option("--weights", f->weights, "safetensors, .pth, .ckpt, .npz, or RUN[@STEP]")->required();
  sub->add_option("--input", f->input, "its tensors x, images (N, C, H, W), and z (N, D), as the model takes")
      ->required();
  sub->add_option("--output", f->output, "named outputs in PyTorch's layout, .safetensors or .npz")
      ->required();
  sub->add_option("--set", f->sets, "key=value in place of the recipe's")->allow_extra_args(false);
  sub->add_option("--stage", f->stage, "2: the model of the second stage")->check(CLI::Range(1, 2));
  sub->callback([&commands, f] { commands.verb = [&commands, f] { return forward(*f, commands.options); }; });
}

}  // namespace

void add_weights(Commands& commands) {
  add_convert(commands);
  add_forward(commands);
}

}  // namespace dae
