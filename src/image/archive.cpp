#include "image/archive.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "layer/codec.hpp"
#include "layer/tar_reader.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr std::size_t kMemberLimit = 100'000;
constexpr std::size_t kLinkHops = 32;
constexpr std::int64_t kDocumentLimit = 8 << 20;

constexpr std::array<std::string_view, 3> kDocuments = {"manifest.json", "index.json", "oci-layout"};

bool is_hex64(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_document(std::string_view key) {
  return std::find(kDocuments.begin(), kDocuments.end(), key) != kDocuments.end();
}

/// What old `docker save` writes beside each layer, and its table of names: nobody reads them.
bool is_ignored(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return key == "repositories";
  return is_hex64(key.substr(0, slash)) && (key.substr(slash + 1) == "VERSION" || key.substr(slash + 1) == "json");
}

/// The digest that a path promises: "blobs/sha256/<hex>".
Result<std::optional<oci::Digest>> claimed_digest(std::string_view key) {
  if (!key.starts_with("blobs/")) return std::nullopt;
  const auto parts = split(key, '/');
  if (parts.size() != 3) return std::nullopt;
  if (parts[1] != "sha256")
    return fail(Code::kUnimplemented, "the archive holds {}; only sha256 blobs are taken", quoted(key, 200));
  return TRY(oci::Digest::parse(fmt::format("sha256:{}", parts[2])));
}

/// A link's target as a key: relative to the directory of `key`, as a symlink; ".." stops at the archive's root.
std::string link_key(std::string_view key, std::string_view target) {
  std::vector<std::string> parts;
  if (!target.starts_with('/')) {
    for (const auto part : split(key, '/')) parts.emplace_back(part);
    parts.pop_back();
  }
  for (const auto part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return join(parts, "/");
}

layer::TarReader::Chunks chunks_of(layer::Source plain, Cancel cancel) {
  auto buffer = std::make_shared<std::vector<char>>(256 * 1024);
  return [plain = std::move(plain), cancel = std::move(cancel), buffer]() -> Result<std::string_view> {
    TRY(cancel.check());
    const std::size_t count = TRY(plain(buffer->data(), buffer->size()));
    return std::string_view(buffer->data(), count);
  };
}

}  // namespace

Result<std::string> member_key(std::string_view path) {
  std::vector<std::string> parts;
  for (const auto part : split(path, '/')) {
    if (part == "..")
      return fail(Code::kInvalidArgument, "the archive's member {} leaves the archive", quoted(path, 200));
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return join(parts, "/");
}

bool is_archive_path(std::string_view key) {
  if (is_document(key) || is_ignored(key)) return true;
  const auto parts = split(key, '/');
  if (parts.size() == 3 && parts[0] == "blobs" && (parts[1] == "sha256" || parts[1] == "sha512")) return true;
  if (parts.size() == 2) return is_hex64(parts[0]) && parts[1] == "layer.tar";
  if (parts.size() != 1) return false;
  std::string_view stem = key.starts_with("sha256:") ? key.substr(7) : key;  // as go-containerregistry names configs
  stem = stem.substr(0, stem.find('.'));
  return is_hex64(stem);
}

/// Fills an archive, member by member.
class Archive::Reader {
 public:
  Reader(Archive& archive, store::Store& store, const store::Lease& lease)
      : archive_(archive), store_(store), lease_(lease) {}

  Status read_all(layer::TarReader& tar) {
    layer::Entry entry;
    std::size_t count = 0;
    while (TRY(tar.next(entry))) {
      if (++count > kMemberLimit)
        return fail(Code::kResourceExhausted, "the archive has more than {} members", kMemberLimit);
      TRY(take(tar, entry));
    }
    return tar.drain();
  }

 private:
  Status take(layer::TarReader& tar, const layer::Entry& entry) {
    if (entry.type == layer::EntryType::kDirectory) return {};
    const std::string key = TRY(member_key(entry.path));
    TRY(refuse_second(key));
    switch (entry.type) {
      case layer::EntryType::kSymlink:
        archive_.links_.emplace(key, link_key(key, entry.link_target));
        return {};
      case layer::EntryType::kHardLink:
        archive_.links_.emplace(key, TRY(member_key(entry.link_target)));
        return {};
      case layer::EntryType::kFile:
        break;
      default:
        return fail(Code::kInvalidArgument, "the archive's member {} is no file", quoted(key, 200));
    }
    if (is_document(key)) return take_document(tar, entry, key);
    if (is_ignored(key)) {
      archive_.documents_.emplace(key, "");  // only so that a second one is refused
      return {};
    }
    return context(take_blob(tar, entry, key), "while reading the archive's member {}", quoted(key, 200));
  }

  Status refuse_second(const std::string& key) const {
    if (!archive_.files_.contains(key) && !archive_.links_.contains(key) && !archive_.documents_.contains(key))
      return {};
    return fail(Code::kInvalidArgument, "the archive holds {} twice", quoted(key, 200));
  }

  Status take_document(layer::TarReader& tar, const layer::Entry& entry, const std::string& key) {
    if (entry.size > kDocumentLimit) {
      return fail(Code::kOutOfRange, "the archive's {} is {} bytes; at most {} are read", key, entry.size,
                  kDocumentLimit);
    }
    std::string text;
    TRY(content(tar, entry, key, [&](std::string_view bytes) -> Status {
      text += bytes;
      return {};
    }));
    archive_.documents_.emplace(key, std::move(text));
    return {};
  }

  Status take_blob(layer::TarReader& tar, const layer::Entry& entry, const std::string& key) {
    const auto claimed = TRY(claimed_digest(key));
    auto writer = TRY(store_.write_blob(lease_));
    std::string head;
    TRY(content(tar, entry, key, [&](std::string_view bytes) -> Status {
      if (head.size() < 4) head += bytes.substr(0, 4 - head.size());
      return writer.write(bytes);
    }));
    const auto blob = TRY(writer.commit({.digest = claimed, .size = entry.size}));
    const Member member{blob, layer::detect(head)};
    archive_.files_.emplace(key, member);
    archive_.by_digest_.try_emplace(blob.digest, member);
    return {};
  }

  /// All bytes of a member. Sparse ones are refused: a header of some bytes could ask for a file of any size.
  static Status content(layer::TarReader& tar, const layer::Entry& entry, const std::string& key,
                        const std::function<Status(std::string_view)>& to) {
    std::int64_t at = 0;
    while (true) {
      const auto piece = TRY(tar.read());
      if (piece.bytes.empty()) break;
      if (piece.offset != at) break;
      at += std::ssize(piece.bytes);
      TRY(to(piece.bytes));
    }
    if (at != entry.size) return fail(Code::kInvalidArgument, "the archive's member {} is sparse", quoted(key, 200));
    return {};
  }

  Archive& archive_;
  store::Store& store_;
  const store::Lease& lease_;
};

Result<Archive> Archive::read(store::Store& store, const store::Lease& lease, const layer::Source& source,
                              const Cancel& cancel) {
  Archive archive;
  layer::TarReader tar(chunks_of(TRY(layer::decoder(source)), cancel), layer::Limits{});
  TRY(Reader(archive, store, lease).read_all(tar));
  return archive;
}

Result<Archive> Archive::open(store::Store& store, const store::Lease& lease, const std::string& directory,
                              const Cancel& cancel) {
  Archive archive;
  const LayoutDirectory layout = TRY(LayoutDirectory::open(directory));
  archive.documents_.emplace("index.json", TRY(layout.index_bytes()));
  if (auto version = TRY(layout.version_bytes()); !version.empty())
    archive.documents_.emplace("oci-layout", std::move(version));
  archive.directory_ = layout;
  archive.take_ = [&store, &lease, layout, cancel](const oci::Descriptor& descriptor) -> Result<Member> {
    Member member{TRY(layout.take(store, lease, descriptor, cancel))};
    std::string head(4, '\0');
    const auto file = TRY(store.open_blob(descriptor.digest));
    head.resize(TRY(sys::read_some_at(file.get(), head.data(), head.size(), 0)));
    member.compression = layer::detect(head);
    return member;
  };
  return archive;
}

bool Archive::has(const oci::Digest& digest) const {
  return by_digest_.contains(digest) || (directory_ && directory_->has(digest));
}

const std::string* Archive::document(std::string_view name) const {
  const auto found = documents_.find(name);
  return found == documents_.end() ? nullptr : &found->second;
}

Result<Archive::Member> Archive::file(std::string_view path) const {
  std::string key = TRY(member_key(path));
  for (std::size_t hop = 0; hop < kLinkHops; ++hop) {
    if (const auto found = files_.find(key); found != files_.end()) return found->second;
    const auto link = links_.find(key);
    if (link == links_.end()) return fail(Code::kNotFound, "the archive lacks {}", quoted(path, 200));
    key = link->second;
  }
  return fail(Code::kInvalidArgument, "the archive's links go in circles at {}", quoted(path, 200));
}

Result<Archive::Member> Archive::blob(const oci::Digest& digest, std::int64_t size) {
  auto found = by_digest_.find(digest);
  if (found == by_digest_.end() && take_)
    found = by_digest_.emplace(digest, TRY(take_({.media_type = "", .digest = digest, .size = size}))).first;
  if (found == by_digest_.end()) return fail(Code::kNotFound, "the archive lacks blob {}", digest.text());
  if (found->second.blob.size != size) {
    return fail(Code::kDataLoss, "blob {} is {} bytes, its descriptor says {}", digest.text(), found->second.blob.size,
                size);
  }
  return found->second;
}

}  // namespace slipway::image
