// The Decoupled Autoencoder (DAE), the paper's contribution. Stage 1 trains the encoder with a weak decoder.
// At the switch the encoder is frozen and the decoder gets its full strength; stage 2 trains it. In this
// engine the freeze is that of an optimizer's parameter group: a frozen group is not stepped, not recorded,
// and in eval mode.
//   weak by width     stage 1's decoder has schedule.width of the hidden channels. The switch makes a fresh
//                     decoder of full width; its group has zero moments and counts its steps from 0.
//   weak by dropout   hidden channels or elements are dropped with probability schedule.drop. The switch
//                     turns that off; weights and moments stay.
#pragma once
#include <string>
#include <vector>

#include "models/weakness.h"
#include "train/learners/learner.h"

namespace dae {

// How strong a decoder is.
struct Strength {
  double width = 1;   // factor on its hidden channels
  Weakness weakness;  // dropout after its hidden activations
};
// Returns the strength of stage 1's decoder: full for a joint schedule.
Strength first_strength(const Recipe& recipe);

// The part of a learner that the schedule acts on: an autoencoder whose encoder and decoder are groups of one
// optimizer. A model derives from it, builds its decoder in replace_decoder(), and asks stage() in its step.
class Decoupled {
 public:
  int stage() const { return stage_; }
  // Begins stage 2: freezes the encoder's group and gives the decoder its full strength.
  void enter_stage_two();

 protected:
  explicit Decoupled(const Recipe& recipe) : recipe_(recipe) {}
  ~Decoupled() = default;
  // Makes a decoder of this strength, with initial weights from `init`, in place of the present one, which it
  // returns.
  virtual std::shared_ptr<void> replace_decoder(Rng& init, const Strength& strength) = 0;
  virtual Weakness& decoder_weakness() = 0;
  virtual Module& encoder_module() = 0;
  virtual std::vector<Param*> decoder_params() = 0;
  virtual const char* decoder_group()
      const = 0;  // its name: "decoder", "generator"; the encoder's is "encoder"
  virtual AdamW& autoencoder_optimizer() = 0;
  virtual void also_at_the_switch() {}  // e.g. a fresh discriminator

  Recipe recipe_;

 private:
  int stage_ = 1;
};

// Returns the learner's part that the schedule acts on. Throws Fault::usage for a model that cannot be
// decoupled.
Decoupled& decoupled(Learner& learner);
// Returns the stage of the learner: 1 where there is no second.
int stage_of(Learner& learner);

// Returns the number of steps of stage 1; -1 where the schedule has no stage 2.
int64_t switch_step(const Recipe& recipe);
// Returns the factor on the learning rates at `step`, counted from 0. stage_two: the step at which stage 2
// began; -1 in stage 1.
double lr_factor(const Recipe& recipe, int64_t step, int64_t stage_two);
// Returns a sentence for the log of a run whose stage 2 begins after `step`.
std::string stage_two_note(const Recipe& recipe, int64_t step);
// Returns sentences for the report: what the schedule of this recipe does.
std::string schedule_in_words(const Recipe& recipe);

}  // namespace dae
