// Which ids of the machine stand for the ids of a step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "init/orders.hpp"

namespace slipway::sandbox {

/// One entry of /etc/subuid or /etc/subgid.
struct SubRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  friend bool operator==(const SubRange&, const SubRange&) = default;
};

/// The entries of a user, by name or by number (man 5 subuid), in file order; malformed lines are skipped.
[[nodiscard]] std::vector<SubRange> parse_sub_ranges(std::string_view text, std::string_view user, std::uint32_t id);
/// The first id from which 65536 are nobody's, in either file: what to propose to a user who has none.
[[nodiscard]] std::uint32_t free_sub_range(std::string_view subuid, std::string_view subgid);

/// Where container ids 0..65535 begin for steps run by root: the `slipway` entry of the file, or 0x70000000.
[[nodiscard]] std::uint32_t rootful_base(std::string_view text);

/// The lines of a uid_map or gid_map file.
[[nodiscard]] Result<std::vector<init::IdMap>> parse_id_map(std::string_view text);

/// Whether a map is the machine's own: everything, unchanged.
[[nodiscard]] bool is_initial(const std::vector<init::IdMap>& map);

/// Whether it maps a single id: nobody but root is there.
[[nodiscard]] bool is_one_id(const std::vector<init::IdMap>& map);

/// Maps each id that exists in a namespace with `outer` to itself.
[[nodiscard]] std::vector<init::IdMap> identity(const std::vector<init::IdMap>& outer);

}  // namespace slipway::sandbox
