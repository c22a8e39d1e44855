#include "cli/build_metadata.hpp"

#include <sys/random.h>

#include <array>

#include "base/text.hpp"
#include "cli/value.hpp"

namespace slipway::cli {

std::string build_metadata(const build::Outcome& outcome, std::string_view id) {
  const auto& manifest = outcome.manifest;
  Value::Object descriptor;
  if (!manifest.annotations.empty()) descriptor.emplace_back("annotations", Value::of(manifest.annotations));
  descriptor.emplace_back("digest", manifest.digest.text());
  descriptor.emplace_back("mediaType", manifest.media_type);
  descriptor.emplace_back("size", manifest.size);
  Value::Object all;
  all.emplace_back("buildx.build.ref", fmt::format("slipway/slipway/{}", id));
  if (!oci::media_type::is_index(manifest.media_type))
    all.emplace_back("containerimage.config.digest", outcome.config.text());
  all.emplace_back("containerimage.descriptor", std::move(descriptor));
  all.emplace_back("containerimage.digest", manifest.digest.text());
  if (!outcome.names.empty()) all.emplace_back("image.name", join(outcome.names, ","));
  return Value(std::move(all)).json_indented(2) + "\n";
}

Result<std::string> build_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz012345";  // 32 of them: no letter is likelier
  std::array<unsigned char, 25> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != std::ssize(bytes)) return fail_errno("no random bytes");
  std::string id;
  for (const unsigned char byte : bytes) id += kLetters[byte % kLetters.size()];
  return id;
}

}  // namespace slipway::cli
