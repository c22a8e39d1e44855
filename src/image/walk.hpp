// walk: from the document that a name points at to everything below it that is here and its holder's. The one way down
// for whoever gives images out or shows them.
#pragma once

#include <functional>
#include <optional>

#include "base/cancel.hpp"
#include "image/holder.hpp"

namespace slipway::image {

struct Walked {
  const oci::Descriptor& descriptor;
  const std::optional<oci::Manifest>& manifest;  ///< nothing: an index
  int depth = 0;                                 ///< 0: where the walk began
};

struct Walk {
  const store::Store& store;
  const Holder& holder;
  const Cancel& cancel;
  /// Whether to go on to what an index names.
  std::function<bool(const oci::Descriptor&)> wanted = nullptr;

  /// Visits an index before what it names, which comes in its order, level by level. What is not here, or not the
  /// holder's, is left out: another platform's. kDataLoss when an index tells a wrong size.
  [[nodiscard]] Status run(const oci::Descriptor& top, const std::function<Status(const Walked&)>& visit) const;
};

}  // namespace slipway::image
