#include "distribution/route.hpp"

#include <optional>

#include "base/text.hpp"
#include "oci/reference.hpp"

namespace slipway::distribution {

bool is_repository_name(std::string_view name) {
  if (name.empty() || name.find_first_of(":@") != std::string_view::npos) return false;
  // Below a registry's name, so that no part of it is taken for one and nothing is put before it.
  const auto reference = oci::Reference::parse(fmt::format("registry.invalid/{}", name));
  return reference && reference->repository() == name;
}

namespace {

struct Ending {
  Route::Kind kind;
  std::string_view repository, object;
};

/// The endpoint by its last segments: a repository may have parts called "blobs" or "manifests".
std::optional<Ending> ending_of(std::string_view path) {
  const auto cut = [](std::string_view text, std::string_view part) -> std::optional<std::string_view> {
    if (!text.ends_with(part)) return std::nullopt;
    return text.substr(0, text.size() - part.size());
  };
  if (const auto name = cut(path, "/tags/list")) return Ending{Route::Kind::kTags, *name, ""};
  if (const auto name = cut(path, "/blobs/uploads/")) return Ending{Route::Kind::kUploads, *name, ""};
  if (const auto name = cut(path, "/blobs/uploads")) return Ending{Route::Kind::kUploads, *name, ""};
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view object = path.substr(slash + 1);
  const std::string_view before = path.substr(0, slash);
  if (const auto name = cut(before, "/blobs/uploads")) return Ending{Route::Kind::kUpload, *name, object};
  if (const auto name = cut(before, "/manifests")) return Ending{Route::Kind::kManifest, *name, object};
  if (const auto name = cut(before, "/blobs")) return Ending{Route::Kind::kBlob, *name, object};
  if (const auto name = cut(before, "/referrers")) return Ending{Route::Kind::kReferrers, *name, object};
  return std::nullopt;
}

}  // namespace

std::expected<Route, Problem> route_of(std::string_view path) {
  if (path == "/v2/" || path == "/v2") return Route{Route::Kind::kPing, "", ""};
  if (path == "/v2/_catalog") return Route{Route::Kind::kCatalog, "", ""};
  const Problem none{404, ProblemCode::kUnsupported, "this is a registry: its endpoints are below /v2/"};
  if (!path.starts_with("/v2/")) return std::unexpected(none);
  const auto ending = ending_of(path.substr(4));
  if (!ending) return std::unexpected(none);
  if (!is_repository_name(ending->repository)) {
    return std::unexpected(Problem{400, ProblemCode::kNameInvalid,
                                   fmt::format("{} is no repository name", quoted(ending->repository, 300))});
  }
  return Route{ending->kind, std::string(ending->repository), std::string(ending->object)};
}

}  // namespace slipway::distribution
