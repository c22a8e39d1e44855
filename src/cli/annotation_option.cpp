#include "cli/annotation_option.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

using Place = build::Annotation::Place;

constexpr std::array<std::pair<std::string_view, Place>, 4> kPlaces = {
    {{"manifest", Place::kManifest},
     {"manifest-descriptor", Place::kManifestDescriptor},
     {"index", Place::kIndex},
     {"index-descriptor", Place::kIndexDescriptor}}};

/// "manifest" or "manifest[linux/amd64]" as an annotation without key and value.
Result<build::Annotation> parse_place(std::string_view text, std::string_view option) {
  build::Annotation out;
  std::string_view name = text;
  if (const auto bracket = text.find('['); bracket != std::string_view::npos) {
    if (!text.ends_with(']'))
      return fail(Code::kUsage, "option {}: the platform of {} has no end", option, quoted(text, 128));
    name = text.substr(0, bracket);
    auto platform = oci::Platform::parse(text.substr(bracket + 1, text.size() - bracket - 2));
    if (!platform)
      return std::unexpected(std::move(platform)
                                 .error()
                                 .add_context(fmt::format("while reading option {}", option))
                                 .with_code(Code::kUsage));
    out.platform = *std::move(platform);
  }
  const auto found =
      std::find_if(kPlaces.begin(), kPlaces.end(), [&](const auto& place) { return place.first == name; });
  if (found == kPlaces.end()) {
    const std::string near = nearest(name, {kPlaces[0].first, kPlaces[1].first, kPlaces[2].first, kPlaces[3].first});
    return fail(Code::kUsage,
                "option {} does not know the place {}; there are manifest, index, manifest-descriptor and "
                "index-descriptor{}",
                option, quoted(name, 64), near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  out.place = found->second;
  if (out.platform && (out.place == Place::kIndex || out.place == Place::kIndexDescriptor))
    return fail(Code::kUsage, "option {}: an index is of no platform, but {} names one", option, quoted(text, 128));
  return out;
}

}  // namespace

Result<std::vector<build::Annotation>> parse_annotation(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(Code::kUsage, "option --annotation is [PLACE:]KEY=VALUE, not {}", quoted(text, 256));
  std::string_view key = text.substr(0, equals);
  std::string_view places = "manifest";
  if (const auto colon = key.find(':'); colon != std::string_view::npos) {
    places = key.substr(0, colon);
    key = key.substr(colon + 1);
  }
  if (key.empty()) return fail(Code::kUsage, "option --annotation {} has no key", quoted(text, 256));
  std::vector<build::Annotation> out;
  for (const auto place : split(places, ',')) {
    build::Annotation annotation = TRY(parse_place(place, "--annotation"));
    annotation.key = key;
    annotation.value = text.substr(equals + 1);
    out.push_back(std::move(annotation));
  }
  return out;
}

Result<std::optional<build::Annotation>> parse_annotation_key(std::string_view key, std::string_view value) {
  constexpr std::string_view kWord = "annotation";
  if (!key.starts_with(kWord)) return std::nullopt;
  std::string_view rest = key.substr(kWord.size());
  if (!rest.starts_with('.') && !rest.starts_with('-') && !rest.starts_with('[')) return std::nullopt;
  // A platform has dots too (os versions): the dot that ends the place is behind the bracket.
  const auto dot = rest.find('.', rest.find('[') < rest.find('.') ? rest.find(']') : 0);
  if (dot == std::string_view::npos || dot + 1 == rest.size())
    return fail(Code::kUsage, "option --output: {} is annotation[-PLACE].KEY without a key", quoted(key, 128));
  std::string place(rest.substr(0, dot));
  place = place.starts_with('-') ? place.substr(1) : "manifest" + place;
  build::Annotation annotation = TRY(parse_place(place, "--output"));
  annotation.key = rest.substr(dot + 1);
  annotation.value = value;
  return annotation;
}

}  // namespace slipway::cli
