#include "train/recipe/keys.h"

#include <fmt/ranges.h>

namespace dae {

namespace {

template <class T>
constexpr bool kOptional = false;
template <class T>
constexpr bool kOptional<std::optional<T>> = true;

}  // namespace

bool is_choice(const std::string& choices, const std::string& word) {
  return word.find('|') == std::string::npos &&
         ("|" + choices + "|").find("|" + word + "|") != std::string::npos;
}

bool takes_text(const RecipeKey& key) {
  return std::holds_alternative<std::string*>(key.field) ||
         std::holds_alternative<std::optional<std::string>*>(key.field);
}

bool is_given(const RecipeKey& key) {
  return std::visit(
      [](const auto* field) {
        if constexpr (kOptional<std::remove_cvref_t<decltype(*field)>>) return field->has_value();
        return true;
      },
      key.field);
}

std::string value_of(const RecipeKey& key) {
  return std::visit(
      [](const auto* field) -> std::string {
        using T = std::remove_cvref_t<decltype(*field)>;
        if constexpr (kOptional<T>) return *field ? fmt::format("{}", **field) : "";
        else if constexpr (std::is_same_v<T, std::vector<int64_t>>)
          return fmt::format("{}", fmt::join(*field, ", "));
        else return fmt::format("{}", *field);
      },
      key.field);
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

std::string toml_of(const RecipeKey& key) {
  const std::string value = value_of(key);
  if (std::holds_alternative<std::vector<int64_t>*>(key.field)) return "[" + value + "]";
  return takes_text(key) ? toml_string(value) : value;
}

}  // namespace dae
