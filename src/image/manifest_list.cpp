#include "image/manifest_list.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "image/parallel.hpp"
#include "image/transfers.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr std::string_view kScope = "manifest-lists";
constexpr const char* kMember = "slipway.member";
constexpr std::size_t kMostMembers = 1000;
constexpr progress::VertexId kVertex = 1;

/// The same name without tag and digest differs in nothing.
bool same_repository(const oci::Reference& a, const oci::Reference& b) {
  return a.registry() == b.registry() && a.repository() == b.repository();
}

oci::Digest lock_name(const oci::Reference& list) { return oci::Digest::of("manifest list " + list.canonical()); }

Result<oci::Descriptor> only_image_of(const oci::Index& index, const oci::Reference& member) {
  const oci::Descriptor* found = nullptr;
  for (const auto& entry : index.manifests()) {
    if (oci::is_attestation(entry)) continue;
    if (found != nullptr || !oci::media_type::is_manifest(entry.media_type))
      return std::unexpected(
          Error(Code::kInvalidArgument, fmt::format("{} is a manifest list itself", member.familiar()))
              .with_hint("name its images by their digests"));
    found = &entry;
  }
  if (found == nullptr) return fail(Code::kInvalidArgument, "{} has no image", member.familiar());
  return *found;
}

/// What may stand in a platform that others read.
Status check_word(const std::string& what, const std::string& text) {
  const bool fine = !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '+';
  });
  if (fine) return {};
  return fail(Code::kUsage, "option --{}: {} is none; letters, digits, '.', '_', '-' and '+'", what, quoted(text, 128));
}

Status apply(const PlatformEdit& edit, oci::Platform& platform) {
  const auto set = [](const char* what, const std::optional<std::string>& value, std::string& into) -> Status {
    if (!value) return {};
    TRY(check_word(what, *value));
    into = *value;
    return {};
  };
  TRY(set("os", edit.os, platform.os));
  TRY(set("arch", edit.architecture, platform.architecture));
  TRY(set("variant", edit.variant, platform.variant));
  TRY(set("os-version", edit.os_version, platform.os_version));
  for (const auto& feature : edit.os_features) {
    TRY(check_word("os-features", feature));
    auto& features = platform.os_features;
    if (std::find(features.begin(), features.end(), feature) == features.end()) features.push_back(feature);
  }
  return {};
}

}  // namespace

Result<oci::Platform> ManifestLists::platform_of(const oci::Reference& member, const oci::Manifest& manifest,
                                                 const Cancel& cancel) const {
  const auto& config = manifest.config();
  if (config.size > oci::kConfigLimit)
    return fail(Code::kOutOfRange, "the config of {} is said to have {} bytes; at most {} are taken", member.familiar(),
                config.size, oci::kConfigLimit);
  auto writer = TRY(images_.store.write_blob(images_.lease));  // verifies
  TRY(images_.client.repository(member, trust_)
          .blob(config, [&](std::string_view bytes) { return writer.write(bytes); }, cancel));
  TRY(writer.commit({.digest = config.digest, .size = config.size}));
  const auto parsed =
      TRY(context(oci::ImageConfig::parse(TRY(images_.store.read_blob(config.digest, oci::kConfigLimit))),
                  "while reading the config of {}", member.familiar()));
  return parsed.view().platform;
}

Result<ListMember> ManifestLists::look_up(const oci::Reference& member, const Cancel& cancel) const {
  const auto repository = images_.client.repository(member, trust_);
  auto document = TRY(repository.manifest(member, cancel));
  std::optional<oci::Platform> platform;
  if (oci::media_type::is_index(document.media_type)) {
    const auto index = TRY(oci::Index::parse(document.bytes, document.media_type));
    const auto entry = TRY(only_image_of(index, member));
    platform = entry.platform;
    document = TRY(repository.manifest(member.with_digest(entry.digest), cancel));
  }
  const std::string type = oci::media_type::is_manifest(document.media_type) ? document.media_type : "";
  const auto manifest = TRY(context(oci::Manifest::parse(document.bytes, type), "while reading {}", member.familiar()));
  if (!platform) platform = TRY(platform_of(member, manifest, cancel));
  (void)TRY(images_.store.put_blob(images_.lease, document.bytes));
  oci::Descriptor descriptor = manifest.descriptor();
  descriptor.platform = platform;
  return ListMember{member.with_digest(descriptor.digest), std::move(descriptor)};
}

Status ManifestLists::keep(const oci::Reference& list, const std::vector<ListMember>& members) const {
  std::vector<oci::Descriptor> entries;
  for (const auto& member : members) {
    entries.push_back(member.descriptor);
    entries.back().annotations[kMember] = member.reference.canonical();
  }
  const auto index = oci::Index::make(oci::Family::kOci, std::move(entries));
  (void)TRY(images_.store.put_blob(images_.lease, index.raw()));
  return images_.store.set_name(kScope, list, index.digest(), index.media_type(), store::Durable::kYes);
}

Result<std::optional<std::vector<ListMember>>> ManifestLists::find(const oci::Reference& list) const {
  const auto name = TRY(images_.store.acquire_name(images_.lease, kScope, list));
  if (!name) return std::nullopt;
  const auto index =
      TRY(oci::Index::parse(TRY(images_.store.read_blob(name->target, oci::kManifestLimit)), name->media_type));
  std::vector<ListMember> members;
  for (auto entry : index.manifests()) {
    const auto where = entry.annotations.extract(kMember);
    if (!where) return fail(Code::kDataLoss, "the manifest list {} does not say where its images are", list.familiar());
    members.push_back({TRY(oci::Reference::parse(where.mapped())), std::move(entry)});
  }
  return members;
}

Result<std::vector<ListMember>> ManifestLists::need(const oci::Reference& list) const {
  auto found = TRY(find(list));
  if (found) return *std::move(found);
  return std::unexpected(Error(Code::kNotFound, fmt::format("there is no manifest list {} here", list.familiar()))
                             .with_hint("'slipway manifest create' makes one"));
}

Status ManifestLists::create(const oci::Reference& list, const std::vector<oci::Reference>& members, Amend amend,
                             const Cancel& cancel) const {
  const auto lock = TRY(images_.store.lock_key(lock_name(list), cancel));
  auto found = TRY(find(list));
  if (found && amend == Amend::kNo)
    return std::unexpected(
        Error(Code::kAlreadyExists, fmt::format("there is a manifest list {} already", list.familiar()))
            .with_hint("--amend adds to it; 'slipway manifest rm' removes it"));
  std::vector<ListMember> all = found ? *std::move(found) : std::vector<ListMember>();
  for (const auto& reference : members) {
    if (reference.registry() != list.registry())
      return fail(Code::kInvalidArgument, "{} is in another registry than the list {}", reference.familiar(),
                  list.familiar());
    auto member = TRY(context(look_up(reference, cancel), "while looking for {}", reference.familiar()));
    std::erase_if(all, [&](const ListMember& old) {
      return old.descriptor.digest == member.descriptor.digest ||
             (!reference.tag().empty() && same_repository(old.reference, reference) &&
              old.reference.tag() == reference.tag());
    });
    all.push_back(std::move(member));
  }
  if (all.size() > kMostMembers) return fail(Code::kOutOfRange, "a manifest list has at most {} images", kMostMembers);
  return keep(list, all);
}

Status ManifestLists::annotate(const oci::Reference& list, const oci::Reference& member, const PlatformEdit& edit,
                               const Cancel& cancel) const {
  const auto lock = TRY(images_.store.lock_key(lock_name(list), cancel));
  auto all = TRY(need(list));
  const auto wanted = [&](const ListMember& each) {
    if (!same_repository(each.reference, member)) return false;
    return member.digest() ? each.descriptor.digest == *member.digest() : each.reference.tag() == member.tag();
  };
  const auto found = std::find_if(all.begin(), all.end(), wanted);
  if (found == all.end())
    return fail(Code::kNotFound, "{} is not in the manifest list {}", member.familiar(), list.familiar());
  TRY(apply(edit, *found->descriptor.platform));
  return keep(list, all);
}

oci::Index ManifestLists::index_of(const std::vector<ListMember>& members) {
  std::vector<oci::Descriptor> entries;
  for (const auto& member : members) entries.push_back(member.descriptor);
  const bool all_oci = std::all_of(entries.begin(), entries.end(),
                                   [](const auto& entry) { return entry.media_type == oci::media_type::kOciManifest; });
  return oci::Index::make(all_oci ? oci::Family::kOci : oci::Family::kDocker, std::move(entries));
}

/// The image in the list's repository too: its blobs, then its manifest.
Status ManifestLists::copy(const ListMember& member, const oci::Reference& list, progress::Sink& sink,
                           const Cancel& cancel) const {
  const std::string bytes = TRY(images_.store.read_blob(member.descriptor.digest, oci::kManifestLimit));
  const auto manifest = TRY(oci::Manifest::parse(bytes, member.descriptor.media_type));
  std::vector<const oci::Descriptor*> blobs = {&manifest.config()};
  for (const auto& layer : manifest.layers()) blobs.push_back(&layer);
  const auto target = images_.client.repository(list, trust_);
  const auto upload = [&](std::size_t i, const Cancel& inner) -> Status {
    const oci::Descriptor& blob = *blobs[i];
    TransferReport report(sink, kVertex, blob.digest.text(), blob.size);
    // Asked for only where the registry neither has the blob nor mounts it.
    const auto open = [&](std::int64_t offset) -> Result<layer::Source> {
      const Transfers transfers(images_, member.reference, sink, kVertex, trust_);
      (void)TRY(transfers.ensure(blob, nullptr, inner));
      auto file = std::make_shared<sys::Fd>(TRY(images_.store.open_blob(blob.digest)));
      return layer::Source([file, offset](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
        const std::size_t got = TRY(sys::read_some_at(file->get(), buffer, size, offset));
        offset += static_cast<std::int64_t>(got);
        return got;
      });
    };
    return context(target.upload(
                       blob, open, member.reference.repository(), [&](std::int64_t sent) { report.done(sent); }, inner),
                   "while copying {}", blob.digest.text());
  };
  TRY(for_each_parallel(blobs.size(), images_.client.parallel_transfers(), cancel, upload));
  return target.put_manifest(bytes, member.descriptor.media_type, member.descriptor.digest.text(), cancel);
}

Result<oci::Descriptor> ManifestLists::push(const oci::Reference& list, progress::Sink& sink,
                                            const Cancel& cancel) const {
  const auto members = TRY(need(list));
  sink.on(progress::Started{kVertex, "push " + list.familiar()});
  const auto work = [&]() -> Result<oci::Descriptor> {
    for (const auto& member : members)
      if (!same_repository(member.reference, list))
        TRY(context(copy(member, list, sink, cancel), "while copying {} to {}", member.reference.familiar(),
                    list.familiar_name()));
    const auto index = index_of(members);
    const std::string tag = list.tag().empty() ? index.digest().text() : list.tag();
    TRY(images_.client.repository(list, trust_).put_manifest(index.raw(), index.media_type(), tag, cancel));
    return index.descriptor();
  };
  auto pushed = work();
  sink.on(progress::Finished{kVertex, pushed ? "" : pushed.error().message()});
  return pushed;
}

Result<bool> ManifestLists::remove(const oci::Reference& list) const {
  return images_.store.remove_name(kScope, list, store::Durable::kYes);
}

}  // namespace slipway::image
