// The nearest known word for a mistyped one.
#pragma once
#include <string>
#include <vector>

namespace dae {

// Returns the candidate with the smallest edit distance (Levenshtein) to the word; the first one of several.
// There must be at least one candidate.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace dae
