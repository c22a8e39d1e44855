// Bases: the images that steps stand upon, and whether what they say of themselves is true. The key of a step names its
// base image by diff IDs, which stand in a config, and that is anybody's word: a record of the store is for those whose
// image has these very layers. Where that is not known, the layers are fetched from the image's own place.
#pragma once

#include <map>
#include <mutex>

#include "build/frontend.hpp"

namespace slipway::build {

class Bases {
 public:
  /// Everything outlives the object.
  Bases(const Workshop& shop, const Plan& plan, VertexIds& ids, const Cancel& cancel)
      : shop_(shop), plan_(plan), ids_(ids), cancel_(cancel) {}

  /// Whether all images that lead to a vertex have the layers that their configs name, and they may be used. Thread
  /// safe.
  [[nodiscard]] Result<bool> proven(std::size_t vertex);

 private:
  [[nodiscard]] Result<bool> is_proven(const image::Resolved& image);
  [[nodiscard]] Result<bool> layers_are_known(const image::Resolved& image) const;
  [[nodiscard]] Result<bool> prove(const image::Resolved& image);

  const Workshop& shop_;
  const Plan& plan_;
  VertexIds& ids_;
  const Cancel& cancel_;
  std::mutex mutex_;
  std::map<const image::Resolved*, bool> proven_;
};

}  // namespace slipway::build
