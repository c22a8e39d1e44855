#include "cli/workplace.hpp"

#include <unistd.h>

#include "base/address.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "sys/file.hpp"

namespace slipway::cli {

Result<Workplace> open_workplace(const Session& session, const Arguments& arguments, std::string_view purpose) {
  auto client = TRY(session.registry_client(arguments));
  auto store = TRY(session.open_store());
  auto lease = TRY(store.lease(purpose));
  return Workplace{std::move(store), std::move(lease), std::move(client), session.scope};
}

void show_waits(const registry::Client& client, ProgressReader& reader) {
  client.on_wait([&reader](const std::string& line) { reader.on(progress::Warning{line}); });
}

Result<oci::Platform> platform_of(const Arguments& arguments) {
  const auto text = arguments.value("platform");
  if (!text || text->empty()) return oci::Platform::host();
  if (text->contains(','))
    return fail(Code::kUsage, "option --platform takes one platform for now, not {}", quoted(*text, 128));
  auto platform = oci::Platform::parse(*text);
  if (!platform) return std::unexpected(std::move(platform).error().with_code(Code::kUsage));
  return platform;
}

Result<std::optional<oci::Platform>> wanted_platform(const Arguments& arguments) {
  const auto text = arguments.value("platform");
  if (!text || text->empty()) return std::nullopt;
  return TRY(platform_of(arguments));
}

Result<oci::Reference> parse_tag(const std::string& text) {
  auto reference = TRY(context(oci::Reference::parse(text), "while reading the name {}", quoted_address(text)));
  if (reference.digest())
    return fail(Code::kInvalidArgument, "{} holds a digest; a name for an image is REPOSITORY[:TAG]",
                quoted(text, 300));
  return reference;
}

bool tag_was_added(const oci::Reference& reference, std::string_view text) {
  const auto last = text.substr(text.rfind('/') == std::string_view::npos ? 0 : text.rfind('/') + 1);
  return !reference.digest() && !last.contains(':');
}

Result<image::Found> find_and_hold(store::Store& store, const store::Lease& lease, std::string_view scope,
                                   const std::string& text) {
  auto found = TRY(image::find(store, scope, text));
  for (const auto& name : found.references) {
    const auto reference = TRY(oci::Reference::parse(name));
    const auto held = TRY(store.acquire_name(lease, scope, reference));
    if (held && held->target == found.target) return found;
  }
  // no name: at least its manifest is held, and gc keeps what a held manifest of a dangling entry needs
  if (!TRY(store.acquire_blob(lease, found.target)))
    return fail(Code::kNotFound, "no image {}: it was removed meanwhile", quoted(text, 300));
  return found;
}

bool is_directory(const std::string& path) {
  struct stat facts = {};
  return ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}

Result<Input> open_input(const std::string& path, const Cancel& cancel) {
  if (path == "-") {
    if (is_terminal(STDIN_FILENO)) {
      return std::unexpected(Error(Code::kUsage, "standard input is a terminal; an archive is expected there")
                                 .with_hint("name a file, or redirect one: < FILE"));
    }
    return Input{sys::Fd(), source_of(STDIN_FILENO, "standard input", cancel)};
  }
  auto file = TRY(sys::open(path, O_RDONLY));
  const auto facts = TRY(sys::stat_fd(file.get(), path));
  if (S_ISDIR(facts.st_mode)) return fail(Code::kInvalidArgument, "{} is a directory, not an archive", quoted(path));
  auto source = source_of(file.get(), quoted(path), cancel);
  return Input{std::move(file), std::move(source)};
}

Result<std::string> image_id(store::Store& store, const image::Holder& holder, const oci::Digest& target,
                             const std::string& media_type) {
  return TRY(image::details(store, holder, target, media_type, std::nullopt)).config.digest().text();
}

}  // namespace slipway::cli
