#include "cli/executor/base_cache.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "build/oci_layout.hpp"
#include "cli/output.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

/// The layers that the directory has, as `taken` from it, count as the image's, as if a mirror had served them.
Status note_taken(const build::Workshop& shop, const image::Resolved& image, const image::Resolved& taken) {
  const store::Origins origins(shop.store);
  const auto there = shop.images.origin(image);
  for (const auto& layer : image.manifest.layers())
    if (TRY(shop.images.holds(taken, layer.digest))) TRY(origins.note(there, layer.digest));
  return {};
}

Status take(const build::Workshop& shop, const image::Resolved& image, const std::string& place, const Cancel& cancel) {
  struct stat info{};
  if (::stat(place.c_str(), &info) < 0) return fail_errno("cannot look at {}", quoted(place, 300));
  if (S_ISDIR(info.st_mode)) {
    const build::LayoutAddress address{.directory = place, .tag = "", .digest = image.manifest.digest().text()};
    const auto taken = TRY(build::take_layout(address, image.reference, image.config.view().platform, shop, cancel));
    return note_taken(shop, image, taken);
  }
  const auto file = TRY(sys::open(place, O_RDONLY));
  image::Resolved taken = image;
  for (const auto& loaded :
       TRY(image::load(shop.store, shop.lease, source_of(file.get(), quoted(place, 300), cancel), cancel))) {
    taken.own = store::Origin::image(loaded.target);
    TRY(note_taken(shop, image, taken));
  }
  return {};
}

}  // namespace

std::string cached_base(const std::string& directory, const oci::Digest& manifest, std::int64_t seconds,
                        Timestamp now) {
  if (directory.empty()) return {};
  std::string place = directory + "/" + manifest.text();
  struct stat info{};
  if (::stat(place.c_str(), &info) < 0) return {};
  return info.st_mtim.tv_sec + seconds < now.seconds ? std::string() : place;
}

Status take_cached_base(const build::Workshop& shop, const image::Resolved& image, const std::string& place,
                        ExecutorLog& log, const Cancel& cancel) {
  const auto& layers = image.manifest.layers();
  bool here = true;
  for (const auto& layer : layers) here = here && TRY(shop.images.holds(image, layer.digest));
  if (here) return {};
  log.info(fmt::format("Found {} in local cache", image.manifest.digest().text()));
  Status taken = take(shop, image, place, cancel);
  if (taken || taken.error().code() == Code::kCancelled) return taken;
  log.say(LogLevel::kWarn, fmt::format("the cached image {} is not used: {}", place, taken.error().message()));
  return {};
}

}  // namespace slipway::cli
