// Words for people: the nearest known one for a mistyped one, a text in one line, a duration.
#pragma once
#include <string>
#include <vector>

namespace dae {

// Returns the candidate with the smallest edit distance (Levenshtein) to the word; the first one of several.
// There must be at least one candidate.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

// Returns the text without a line break at its end, other control characters as spaces.
std::string one_line(std::string text);
// Returns a time of any length: "4.20 us", "13.1 ms", "1.25 s", "3 min 5 s", "2 h 10 min".
std::string duration(double seconds);

}  // namespace dae
