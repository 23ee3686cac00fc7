// The known word that a mistyped one may stand for.
#pragma once
#include <string>
#include <vector>

// The candidate with the least edit distance (Levenshtein) from the word, the first of several; there is one.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);
