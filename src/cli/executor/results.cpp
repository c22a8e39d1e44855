#include "cli/executor/results.hpp"

#include <fcntl.h>

#include "base/text.hpp"
#include "build/remote_file.hpp"
#include "cli/executor/registry.hpp"
#include "cli/output.hpp"
#include "oci/canonical_json.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

Status put(const std::string& address, const std::string& text, const http::ClientOptions& options,
           const Cancel& cancel) {
  const std::string shown = printable(build::shown_url(address), 300);
  const http::Url url = TRY(http::Url::parse(address));
  const http::Client client(options);
  const auto answer = client.send(
      {.method = "PUT", .url = url, .headers = {{"Content-Type", "text/plain"}}, .body = http::Body::of(text)}, {},
      cancel);
  if (!answer)
    return std::unexpected(Error(answer.error().error).add_context(fmt::format("while sending to {}", shown)));
  if (answer->status >= 200 && answer->status < 300) return {};
  return fail(Code::kFailedPrecondition, "{} answers {}", shown, answer->status);
}

Status write(const std::string& place, const std::string& text, const http::ClientOptions& http, const Cancel& cancel) {
  if (place.starts_with("https://")) return put(place, text, http, cancel);
  if (const auto slash = place.rfind('/'); slash != std::string::npos && slash > 0)
    TRY(sys::make_directories(place.substr(0, slash), 0700));
  auto file = TRY(OutputFile::create(place));
  TRY(file.write(text));
  return file.finish();
}

}  // namespace

Status write_digest_files(const ExecutorOptions& options, const std::vector<oci::Reference>& destinations,
                          const oci::Digest& digest, const http::ClientOptions& http, const Cancel& cancel) {
  const auto lines = [&](bool tag) {
    std::string out;
    for (const auto& name : destinations)
      out += fmt::format("{}{}@{}\n", kaniko_repository(name), tag ? ":" + name.tag() : "", digest.text());
    return out;
  };
  if (!options.digest_file.empty())
    TRY(context(write(options.digest_file, digest.text(), http, cancel), "writing digest to file failed"));
  if (!options.name_file.empty())
    TRY(context(write(options.name_file, lines(false), http, cancel), "writing image name with digest to file failed"));
  if (!options.name_tag_file.empty())
    TRY(context(write(options.name_tag_file, lines(true), http, cancel),
                "writing image name with image tag and digest to file failed"));
  return {};
}

Status write_layout(store::Store& store, const oci::Descriptor& manifest, const std::string& directory,
                    const Cancel& cancel) {
  TRY(sys::make_directories(directory, 0755));
  // of an earlier build; what else is in the directory stays
  const std::string index = directory + "/index.json";
  if (TRY(sys::lstat_at(AT_FDCWD, index))) TRY(sys::unlink_at(AT_FDCWD, index));
  return image::save_layout(store,
                            {{.references = {},
                              .target = manifest.digest,
                              .media_type = manifest.media_type,
                              .holder = image::Holder::maker(),
                              .annotations = manifest.annotations}},
                            directory, cancel);
}

Status write_builder_output(const std::string& directory, const std::vector<oci::Reference>& destinations,
                            const oci::Digest& digest) {
  if (directory.empty()) return {};
  std::string lines;
  for (const auto& name : destinations) {
    oci::JsonWriter json;
    json.begin_object();
    json.member("name", fmt::format("{}:{}", kaniko_repository(name), name.tag()));
    json.member("digest", digest.text());
    json.end_object();
    lines += json.take() + "\n";
  }
  auto file = TRY(OutputFile::create(directory + "/images"));
  TRY(file.write(lines));
  return file.finish();
}

}  // namespace slipway::cli
