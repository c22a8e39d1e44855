// Workplace: the store, a lease on it and the registry client: what commands on images work with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/session.hpp"
#include "image/image.hpp"

namespace slipway::cli {

struct Workplace {
  store::Store store;
  store::Lease lease;
  registry::Client client;
  std::string scope;
  [[nodiscard]] image::Images images() { return {store, lease, client, scope}; }
};
[[nodiscard]] Result<Workplace> open_workplace(const Session& session, const Arguments& arguments,
                                               std::string_view purpose);

/// Shows the client's waits as warnings; `reader` must outlive its transfers.
void show_waits(const registry::Client& client, ProgressReader& reader);

/// The platform that an option names (at most one), or this machine's.
[[nodiscard]] Result<oci::Platform> platform_of(const Arguments& arguments);

/// A name that is given to an image: no digest in it.
[[nodiscard]] Result<oci::Reference> parse_tag(const std::string& text);

/// Whether `text` names neither tag nor digest, so that ":latest" was added to make `reference`.
[[nodiscard]] bool tag_was_added(const oci::Reference& reference, std::string_view text);

/// image::find, and what was found stays safe from gc while `lease` lives.
[[nodiscard]] Result<image::Found> find_and_hold(store::Store& store, const store::Lease& lease, std::string_view scope,
                                                 const std::string& text);

/// Whether `path` (followed, if it is a link) is a directory: of an OCI layout, where an archive could stand too.
[[nodiscard]] bool is_directory(const std::string& path);

/// Opens "-" (standard input, refused when it is a terminal) or a file for reading.
struct Input {
  sys::Fd file;
  layer::Source source;
};
[[nodiscard]] Result<Input> open_input(const std::string& path, const Cancel& cancel);

/// The platform that an option names; nothing when it does not, for commands that show what there is.
[[nodiscard]] Result<std::optional<oci::Platform>> wanted_platform(const Arguments& arguments);

/// Docker's image id of a target: the digest of the config for this platform, or of the first that is here.
[[nodiscard]] Result<std::string> image_id(store::Store& store, const image::Holder& holder, const oci::Digest& target,
                                           const std::string& media_type);

}  // namespace slipway::cli
