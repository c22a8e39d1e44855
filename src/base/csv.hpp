// CSV: one line of comma-separated fields, as options of docker are written ("type=local,dest=out").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway {

/// The fields of one line as Go's encoding/csv reads them: a field in quotes may hold commas, `""` in it is a quote.
/// kInvalidArgument: a quote that is not ended.
[[nodiscard]] Result<std::vector<std::string>> csv_fields(std::string_view text);

}  // namespace slipway
