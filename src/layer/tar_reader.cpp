#include "layer/tar_reader.hpp"

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "layer/pax.hpp"

namespace slipway::layer {
namespace {

std::string_view field(std::string_view block, const TarField& where) { return block.substr(where.offset, where.size); }

/// Up to the first NUL.
std::string_view text(std::string_view block, const TarField& where) {
  const auto bytes = field(block, where);
  return bytes.substr(0, bytes.find('\0'));
}

/// Octal digits between blanks and NULs, or (first bit set) a big-endian two's complement number: GNU's base-256.
Result<std::int64_t> number(std::string_view bytes, std::string_view what) {
  const auto bad = [&] { return fail(Code::kInvalidArgument, "tar header: bad {} {}", what, quoted(bytes, 64)); };
  if (!bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80) != 0) {
    const bool negative = (static_cast<unsigned char>(bytes[0]) & 0x40) != 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto byte = static_cast<unsigned char>(negative ? ~bytes[i] : bytes[i]);
      if (i == 0) byte &= 0x7f;
      if (value >> 56 != 0) return bad();
      value = value << 8 | byte;
    }
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return bad();
    return negative ? ~static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  }
  constexpr std::string_view kFiller(" \0", 2);
  const auto first = bytes.find_first_not_of(kFiller);
  if (first == std::string_view::npos) return 0;
  std::string_view digits = bytes.substr(first, bytes.find_last_not_of(kFiller) - first + 1);
  digits = digits.substr(0, digits.find('\0'));
  std::int64_t value = 0;  // 12 digits at most: no overflow
  for (const char c : digits) {
    if (c < '0' || c > '7') return bad();
    value = value << 3 | (c - '0');
  }
  return value;
}

Result<std::int64_t> size_of(std::string_view header) {
  const auto size = TRY(number(field(header, tar_field::kSize), "size"));
  if (size < 0) return fail(Code::kInvalidArgument, "tar header: the size is negative");
  return size;
}

Result<std::uint32_t> id_of(std::int64_t value, std::string_view what) {
  // 2^32-1 means "leave it" to chown(2)
  if (value < 0 || value >= std::numeric_limits<std::uint32_t>::max())
    return fail(Code::kOutOfRange, "tar header: {} {} is out of range", what, value);
  return static_cast<std::uint32_t>(value);
}

Result<std::uint32_t> device_of(std::string_view header, const TarField& where) {
  const auto value = TRY(number(field(header, where), "device number"));
  if (value < 0 || value > std::numeric_limits<std::uint32_t>::max())
    return fail(Code::kOutOfRange, "tar header: device number {} is out of range", value);
  return static_cast<std::uint32_t>(value);
}

bool is_zero(std::string_view block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

Status verify_checksum(std::string_view header) {
  const auto stated = TRY(number(field(header, tar_field::kChecksum), "checksum"));
  const TarSums sums = tar_sums(header);
  if (stated == sums.of_unsigned || stated == sums.of_signed) return {};
  return fail(Code::kInvalidArgument, "not a tar header: its checksum is wrong");
}

std::string name_of(std::string_view header) {
  const auto name = text(header, tar_field::kName);
  const auto magic = field(header, {tar_field::kMagic.offset, 8});
  if (!magic.starts_with(std::string_view("ustar\0", 6)))
    return std::string(name);  // GNU keeps times there, V7 nothing
  const bool star = field(header, tar_field::kStarTrailer) == std::string_view("tar\0", 4);
  const auto prefix = text(header, star ? tar_field::kStarPrefix : tar_field::kPrefix);
  if (prefix.empty()) return std::string(name);
  return fmt::format("{}/{}", prefix, name);
}

Result<EntryType> type_of(char flag, std::string_view name) {
  switch (flag) {
    case '\0':
      return name.ends_with('/') ? EntryType::kDirectory : EntryType::kFile;  // V7 has no other directories
    case '0':
    case '7':
    case 'S':
      return EntryType::kFile;
    case '1':
      return EntryType::kHardLink;
    case '2':
      return EntryType::kSymlink;
    case '3':
      return EntryType::kCharDevice;
    case '4':
      return EntryType::kBlockDevice;
    case '5':
    case 'D':
      return EntryType::kDirectory;
    case '6':
      return EntryType::kFifo;
    case 'M':
      return fail(Code::kUnimplemented, "multi-volume tar archives are not supported: {}", quoted(name));
    default:
      return fail(Code::kInvalidArgument, "tar member {} has the unknown type {}", quoted(name),
                  quoted(std::string_view(&flag, 1)));
  }
}

/// Types that have content in the archive. Go reads none behind a link or a directory whatever the size field says,
/// and so do we: two readings of one digest are worse than a strange archive.
bool has_data(char flag) { return flag == '\0' || flag == '0' || flag == '7' || flag == 'S' || flag == 'D'; }

Status check_no_nul(std::string_view value, std::string_view key) {
  if (!value.contains('\0')) return {};
  return fail(Code::kInvalidArgument, "pax record {} has a NUL in {}", key, quoted(value, 64));
}

/// Keys whose value can not be the same for all members: a global one would be read differently by every program.
bool is_of_one_member(std::string_view key) {
  return key == "path" || key == "linkpath" || key == "size" || key.starts_with("GNU.sparse.") ||
         key.starts_with(kSchilyXattr) || key.starts_with(kLibarchiveXattr);
}

}  // namespace

Result<bool> TarReader::fill() {
  if (!window_.empty()) return true;
  if (stream_ended_) return false;
  window_ = TRY(chunks_());
  stream_ended_ = window_.empty();
  return !stream_ended_;
}

Result<std::optional<std::string_view>> TarReader::block() {
  if (!TRY(fill())) return std::nullopt;
  if (window_.size() >= kBlock) {
    const auto whole = window_.substr(0, kBlock);
    window_.remove_prefix(kBlock);
    return whole;
  }
  std::size_t have = 0;
  while (have < kBlock) {
    if (!TRY(fill())) return fail(Code::kDataLoss, "the tar stream ends inside a block");
    const auto take = std::min(kBlock - have, window_.size());
    std::copy_n(window_.data(), take, carry_.data() + have);
    window_.remove_prefix(take);
    have += take;
  }
  return std::string_view(carry_.data(), kBlock);
}

Result<std::string_view> TarReader::whole_block() {
  const auto got = TRY(block());
  if (!got) return fail(Code::kDataLoss, "the tar stream ends inside a member");
  return *got;
}

Status TarReader::skip(std::int64_t bytes) {
  while (bytes > 0) {
    if (!TRY(fill())) return fail(Code::kDataLoss, "the tar stream ends inside a member");
    const auto take = std::min<std::uint64_t>(static_cast<std::uint64_t>(bytes), window_.size());
    window_.remove_prefix(take);
    bytes -= static_cast<std::int64_t>(take);
  }
  return {};
}

Status TarReader::finish_member() {
  TRY(skip(std::exchange(stored_left_, 0)));
  return skip(std::exchange(padding_, 0));
}

Status TarReader::drain() {
  stored_left_ = padding_ = 0;
  archive_ended_ = true;
  std::int64_t trailing = 0;
  while (TRY(fill())) {
    trailing += std::ssize(window_);
    window_ = {};
    if (trailing > limits_.trailing_bytes)
      return fail(Code::kOutOfRange, "more than {} bytes follow the end of the tar archive", limits_.trailing_bytes);
  }
  return {};
}

Result<std::string> TarReader::special(std::string_view header) {
  const auto size = TRY(size_of(header));
  if (static_cast<std::uint64_t>(size) > limits_.extended_bytes)
    return fail(Code::kOutOfRange, "a tar extended header has {} bytes; at most {} are read", size,
                limits_.extended_bytes);
  std::string data;
  data.reserve(static_cast<std::size_t>(size));
  while (data.size() < static_cast<std::size_t>(size)) {
    if (!TRY(fill())) return fail(Code::kDataLoss, "the tar stream ends inside an extended header");
    const auto take = std::min(static_cast<std::size_t>(size) - data.size(), window_.size());
    data.append(window_.substr(0, take));
    window_.remove_prefix(take);
  }
  TRY(skip(tar_padding(size)));
  return data;
}

Result<bool> TarReader::at_end(std::string_view first) {
  if (!is_zero(first)) return false;
  const auto second = TRY(block());
  if (second && !is_zero(*second)) return fail(Code::kInvalidArgument, "a lone zero block inside the tar stream");
  return true;
}

Status TarReader::read_records(std::string_view header, Extended& into, bool global) {
  const std::string data = TRY(special(header));
  if (!global) into = Extended();
  into.bytes += data.size();
  if (into.bytes > limits_.extended_bytes)
    return fail(Code::kOutOfRange, "the global pax headers have more than {} bytes", limits_.extended_bytes);
  return for_each_pax_record(data, [&](std::string_view key, std::string_view value) -> Status {
    if (global && is_of_one_member(key))
      return fail(Code::kInvalidArgument, "global pax header sets {} for all members", quoted(key, 64));
    if (key.starts_with(kSchilyXattr)) {
      into.schily.insert_or_assign(std::string(key.substr(kSchilyXattr.size())), std::string(value));
    } else if (key.starts_with(kLibarchiveXattr)) {
      std::string decoded = TRY(decode_base64(value));
      into.libarchive.insert_or_assign(decode_percent(key.substr(kLibarchiveXattr.size())), std::move(decoded));
    } else if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
      if ((into.sparse_numbers.size() % 2 == 0) != (key == "GNU.sparse.offset"))
        return fail(Code::kInvalidArgument, "pax sparse map: {} is out of order", key);
      into.sparse_numbers.push_back(TRY(parse_size(value)));
    } else {
      into.keys.insert_or_assign(std::string(key), std::string(value));
    }
    return {};
  });
}

/// What is no tar at all is told as that, not as a broken one.
Result<std::optional<std::string_view>> TarReader::first_block() {
  const auto no_tar = [](Code code) {
    return std::unexpected(
        Error(code, "this is no tar archive").with_hint("a tar is expected, plain or compressed by gzip or zstd"));
  };
  auto header = block();
  if (!header && stream_ended_) return no_tar(Code::kDataLoss);
  if (header && *header && !is_zero(**header) && !verify_checksum(**header)) return no_tar(Code::kInvalidArgument);
  return header;
}

Result<bool> TarReader::next(Entry& entry) {
  if (archive_ended_) return false;
  TRY(finish_member());
  local_ = Extended();
  long_name_.reset();
  long_link_.reset();
  for (bool pending = false;; pending = true) {
    const auto header = TRY(begun_ ? block() : first_block());
    begun_ = true;
    if (!header && pending) return fail(Code::kDataLoss, "the tar stream ends behind an extended header");
    if (!header || TRY(at_end(*header))) {
      archive_ended_ = true;
      return false;
    }
    TRY(verify_checksum(*header));
    // `block` may hand out carry_, which special() reuses: the flag is taken first.
    switch ((*header)[tar_field::kType.offset]) {
      case 'x':
      case 'X':
        TRY(read_records(*header, local_, false));
        break;
      case 'g':
        TRY(read_records(*header, global_, true));
        break;
      case 'L':
      case 'K': {
        const bool name = (*header)[tar_field::kType.offset] == 'L';
        std::string value = TRY(special(*header));
        value.resize(std::min(value.size(), value.find('\0')));
        (name ? long_name_ : long_link_) = std::move(value);
        break;
      }
      case 'V':
        TRY(special(*header));
        break;  // a volume label
      default:
        TRY(read_member(*header, entry));
        return true;
    }
  }
}

Status TarReader::read_member(std::string_view header, Entry& entry) {
  std::array<char, kBlock> copy;  // sparse maps read more blocks while the header is still needed
  std::copy_n(header.data(), kBlock, copy.data());
  header = std::string_view(copy.data(), kBlock);
  const char flag = header[tar_field::kType.offset];

  entry.path = name_of(header);
  entry.link_target = text(header, tar_field::kLink);
  entry.mode = static_cast<std::uint32_t>(TRY(number(field(header, tar_field::kMode), "mode"))) & 07777;
  entry.dev_major = entry.dev_minor = 0;
  TRY(apply_extended(header, entry));
  entry.type = TRY(type_of(flag, entry.path));
  if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice) {
    entry.dev_major = TRY(device_of(header, tar_field::kMajor));
    entry.dev_minor = TRY(device_of(header, tar_field::kMinor));
  }
  if (entry.type != EntryType::kSymlink && entry.type != EntryType::kHardLink) entry.link_target.clear();

  stored_left_ = has_data(flag) ? entry.size : 0;
  padding_ = tar_padding(stored_left_);
  if (entry.type != EntryType::kFile) entry.size = 0;
  delivered_ = 0;
  sparse_ = false;
  if (flag == 'S') return read_gnu_sparse(header, entry);
  if (entry.type == EntryType::kFile) return apply_pax_sparse(entry);
  return {};
}

const std::string* TarReader::pax(std::string_view key) const {
  const auto local = local_.keys.find(key);
  // An empty value takes back what a global header says, and leaves the header's own field.
  if (local != local_.keys.end()) return local->second.empty() ? nullptr : &local->second;
  const auto global = global_.keys.find(key);
  return global == global_.keys.end() || global->second.empty() ? nullptr : &global->second;
}

Status TarReader::apply_extended(std::string_view header, Entry& entry) {
  if (const auto* value = pax("path")) entry.path = *value;
  if (const auto* value = pax("linkpath")) entry.link_target = *value;
  if (long_name_) entry.path = *long_name_;
  if (long_link_) entry.link_target = *long_link_;
  TRY(check_no_nul(entry.path, "path"));
  TRY(check_no_nul(entry.link_target, "linkpath"));
  const auto numeric = [&](std::string_view key, const TarField& where) -> Result<std::int64_t> {
    if (const auto* value = pax(key)) return parse_size(*value);
    return number(field(header, where), key);
  };
  entry.uid = TRY(id_of(TRY(numeric("uid", tar_field::kUid)), "uid"));
  entry.gid = TRY(id_of(TRY(numeric("gid", tar_field::kGid)), "gid"));
  entry.size = TRY(numeric("size", tar_field::kSize));
  if (entry.size < 0) return fail(Code::kInvalidArgument, "tar header: the size is negative");
  if (const auto* value = pax("mtime")) {
    entry.mtime = TRY(parse_pax_time(*value));
  } else {
    entry.mtime = {.seconds = TRY(number(field(header, tar_field::kMtime), "mtime")), .nanoseconds = 0};
  }
  return apply_xattrs(entry);
}

Status TarReader::apply_xattrs(Entry& entry) {
  entry.xattrs.clear();
  local_.libarchive.merge(std::map(local_.schily));  // merge keeps what is there: SCHILY's are put over them below
  std::size_t bytes = 0;
  for (const auto& [name, value] : local_.libarchive) {
    const auto schily = local_.schily.find(name);
    const std::string& chosen = schily == local_.schily.end() ? value : schily->second;
    if (name.empty() || name.contains('\0'))
      return fail(Code::kInvalidArgument, "{} has an attribute with the bad name {}", quoted(entry.path), quoted(name));
    bytes += name.size() + chosen.size();
    entry.xattrs.emplace_back(name, chosen);
  }
  if (bytes > limits_.xattr_bytes)
    return fail(Code::kOutOfRange, "{} has {} bytes of extended attributes; at most {} are taken", quoted(entry.path),
                bytes, limits_.xattr_bytes);
  return {};
}

Status TarReader::apply_pax_sparse(Entry& entry) {
  const auto* major = pax("GNU.sparse.major");
  const auto* minor = pax("GNU.sparse.minor");
  const auto* map = pax("GNU.sparse.map");
  const bool version_1 = major != nullptr && *major == "1" && minor != nullptr && *minor == "0";
  const bool version_0 = major == nullptr || (*major == "0" && minor != nullptr && (*minor == "0" || *minor == "1"));
  if (!version_1 && major == nullptr && map == nullptr && local_.sparse_numbers.empty()) return {};
  if (!version_1 && !version_0)
    return fail(Code::kUnimplemented, "{} is a sparse file of an unknown version", quoted(entry.path));

  if (const auto* name = pax("GNU.sparse.name")) entry.path = *name;
  TRY(check_no_nul(entry.path, "GNU.sparse.name"));
  const auto* real = pax("GNU.sparse.size");
  if (real == nullptr) real = pax("GNU.sparse.realsize");
  const std::int64_t real_size = real == nullptr ? entry.size : TRY(parse_size(*real));
  if (version_1) return set_sparse(TRY(read_sparse_1_0()), real_size, entry);
  if (map == nullptr) return set_sparse(local_.sparse_numbers, real_size, entry);
  std::vector<std::int64_t> numbers;
  for (const auto part : split(*map, ',')) numbers.push_back(TRY(parse_size(part)));
  return set_sparse(numbers, real_size, entry);
}

/// pax 1.0: the map stands in front of the data: COUNT, then OFFSET and SIZE of each stretch, a number a line,
/// filled up to a whole block.
Result<std::vector<std::int64_t>> TarReader::read_sparse_1_0() {
  std::vector<std::int64_t> numbers;
  std::int64_t wanted = 1;
  std::size_t taken = 0;
  std::string line;
  while (static_cast<std::int64_t>(numbers.size()) < wanted) {
    if (stored_left_ < static_cast<std::int64_t>(kBlock))
      return fail(Code::kInvalidArgument, "pax sparse map: longer than the member");
    taken += kBlock;
    if (taken > limits_.extended_bytes)
      return fail(Code::kOutOfRange, "pax sparse map: more than {} bytes", limits_.extended_bytes);
    const auto bytes = TRY(whole_block());
    stored_left_ -= static_cast<std::int64_t>(kBlock);
    for (const char c : bytes) {
      if (static_cast<std::int64_t>(numbers.size()) >= wanted) break;
      if (c != '\n') {
        line += c;
        if (line.size() > 20) return fail(Code::kInvalidArgument, "pax sparse map: bad number {}", quoted(line));
        continue;
      }
      numbers.push_back(TRY(parse_size(line)));
      line.clear();
      if (numbers.size() > 1) continue;
      // Two bytes are the least a number takes: a larger count can not be meant.
      if (numbers[0] > static_cast<std::int64_t>(limits_.extended_bytes) / 4)
        return fail(Code::kOutOfRange, "pax sparse map: {} stretches", numbers[0]);
      wanted = 1 + 2 * numbers[0];
    }
  }
  numbers.erase(numbers.begin());
  return numbers;
}

Status TarReader::read_gnu_sparse(std::string_view header, Entry& entry) {
  const auto real_size = TRY(number(field(header, tar_field::kGnuRealSize), "sparse size"));
  std::vector<std::int64_t> numbers;
  bool more = header[tar_field::kGnuExtended.offset] != 0;
  std::string_view pairs = field(header, tar_field::kGnuSparse);
  while (true) {
    for (; pairs.size() >= 2 * tar_field::kPairNumber; pairs.remove_prefix(2 * tar_field::kPairNumber)) {
      if (pairs[0] == '\0') break;
      numbers.push_back(TRY(number(pairs.substr(0, tar_field::kPairNumber), "sparse offset")));
      numbers.push_back(TRY(number(pairs.substr(tar_field::kPairNumber, tar_field::kPairNumber), "sparse size")));
    }
    if (!more) break;
    if (numbers.size() * tar_field::kPairNumber > limits_.extended_bytes)
      return fail(Code::kOutOfRange, "{} has a sparse map of more than {} bytes", quoted(entry.path),
                  limits_.extended_bytes);
    const auto extension = TRY(whole_block());
    more = extension[tar_field::kMoreExtended.offset] != 0;
    // A block of no pairs that asks for another one would cost nothing to repeat for ever.
    if (more && extension[0] == '\0')
      return fail(Code::kInvalidArgument, "{} has an empty block in its sparse map", quoted(entry.path));
    pairs = field(extension, tar_field::kMorePairs);
  }
  return set_sparse(numbers, real_size, entry);
}

Status TarReader::set_sparse(const std::vector<std::int64_t>& numbers, std::int64_t real_size, Entry& entry) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "{} has a bad sparse map: {}", quoted(entry.path), why);
  };
  if (numbers.size() % 2 != 0) return bad("an offset without a size");
  if (real_size < 0) return bad("the size is negative");
  std::int64_t end = 0;
  std::int64_t stored = 0;
  extents_.clear();
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    const Extent extent{numbers[i], numbers[i + 1]};
    if (extent.offset < end || extent.size < 0) return bad("stretches overlap or are out of order");
    if (extent.offset > real_size || extent.size > real_size - extent.offset)
      return bad("a stretch lies behind the end");
    end = extent.offset + extent.size;
    stored += extent.size;
    if (extent.size > 0) extents_.push_back(extent);
  }
  if (stored != stored_left_) return bad("it does not fit the stored bytes");
  sparse_ = true;
  extent_ = 0;
  entry.size = real_size;
  return {};
}

Result<TarReader::Piece> TarReader::read() {
  if (stored_left_ == 0) return Piece{};
  if (!TRY(fill())) return fail(Code::kDataLoss, "the tar stream ends inside a member");
  std::int64_t most = stored_left_;
  std::int64_t base = 0;
  if (sparse_) {
    if (delivered_ == extents_[extent_].size) {
      ++extent_;
      delivered_ = 0;
    }
    base = extents_[extent_].offset;
    most = extents_[extent_].size - delivered_;
  }
  const auto take = std::min<std::uint64_t>(static_cast<std::uint64_t>(most), window_.size());
  const Piece piece{base + delivered_, window_.substr(0, take)};
  window_.remove_prefix(take);
  stored_left_ -= static_cast<std::int64_t>(take);
  delivered_ += static_cast<std::int64_t>(take);
  return piece;
}

}  // namespace slipway::layer
