#include "sandbox/id_range.hpp"

#include <limits>

#include "base/text.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::uint32_t kDefaultBase = 0x70000000;
constexpr std::uint32_t kIds = 65536;

Result<std::uint32_t> parse_id(std::string_view text) {
  const std::int64_t number = TRY(parse_size(text));
  if (number > std::numeric_limits<std::uint32_t>::max()) return fail(Code::kOutOfRange, "id {} is too large", number);
  return static_cast<std::uint32_t>(number);
}

}  // namespace

std::vector<SubRange> parse_sub_ranges(std::string_view text, std::string_view user, std::uint32_t id) {
  const std::string number = fmt::format("{}", id);
  std::vector<SubRange> out;
  for (const auto line : split(text, '\n')) {
    const auto parts = split(trim(line), ':');
    if (parts.size() != 3 || (parts[0] != user && parts[0] != number)) continue;
    const auto first = parse_id(parts[1]);
    const auto count = parse_id(parts[2]);
    if (first && count && *count > 0 && *first <= std::numeric_limits<std::uint32_t>::max() - *count)
      out.push_back({*first, *count});
  }
  return out;
}

std::uint32_t free_sub_range(std::string_view subuid, std::string_view subgid) {
  std::uint32_t first = 100000;  // where useradd begins
  for (const auto text : {subuid, subgid}) {
    for (const auto line : split(text, '\n')) {
      const auto parts = split(trim(line), ':');
      if (parts.size() != 3) continue;
      for (const auto& [start, count] : parse_sub_ranges(line, parts[0], 0))
        if (start + count > first && start + count < std::numeric_limits<std::uint32_t>::max() - kIds)
          first = start + count;
    }
  }
  return first;
}

std::uint32_t rootful_base(std::string_view text) {
  for (const auto& [first, count] : parse_sub_ranges(text, "slipway", std::numeric_limits<std::uint32_t>::max()))
    if (count >= kIds && first > 0) return first;
  return kDefaultBase;
}

Result<std::vector<init::IdMap>> parse_id_map(std::string_view text) {
  std::vector<init::IdMap> out;
  for (const auto line : split(text, '\n')) {
    std::vector<std::uint32_t> numbers;
    for (const auto word : split(line, ' '))
      if (!trim(word).empty()) numbers.push_back(TRY(parse_id(trim(word))));
    if (numbers.empty()) continue;
    if (numbers.size() != 3) return fail(Code::kInvalidArgument, "cannot read the id map line {}", quoted(line));
    out.push_back({numbers[0], numbers[1], numbers[2]});
  }
  return out;
}

bool is_initial(const std::vector<init::IdMap>& map) {
  return map.size() == 1 && map[0].inside == 0 && map[0].outside == 0 &&
         map[0].count == std::numeric_limits<std::uint32_t>::max();
}

std::vector<init::IdMap> identity(const std::vector<init::IdMap>& outer) {
  std::vector<init::IdMap> out;
  for (const auto& line : outer) out.push_back({line.inside, line.inside, line.count});
  return out;
}

bool is_one_id(const std::vector<init::IdMap>& map) { return map.size() == 1 && map.front().count == 1; }

}  // namespace slipway::sandbox
