// TarReader: the members of a tar stream, one after the other. Reads ustar, pax (local and global headers), GNU long
// names, base-256 numbers, star's and V7's headers, GNU sparse files (old header, pax 0.0, 0.1, 1.0), SCHILY.xattr.*
// and LIBARCHIVE.xattr.*. Where readers of the world differ it reads as Go's archive/tar does, because that is what
// Docker and containerd make of the same bytes.
//
//   TarReader reader(chunks, limits);
//   Entry entry;
//   while (TRY(reader.next(entry)))
//     for (auto piece = TRY(reader.read()); !piece.bytes.empty(); piece = TRY(reader.read())) …
//   TRY(reader.drain());   // what follows the end of the archive belongs to the stream's digest
//
// Every field is hostile. Errors: kInvalidArgument (not a tar, a bad header), kDataLoss (the stream ends inside),
// kOutOfRange (a limit), kUnimplemented (multi-volume archives).
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "layer/entry.hpp"
#include "layer/layer.hpp"
#include "layer/tar_format.hpp"

namespace slipway::layer {

class TarReader {
 public:
  /// The next bytes of the stream, valid until the next call; empty at its end.
  using Chunks = std::function<Result<std::string_view>()>;
  /// A stretch of a file's content. Offsets ascend; what is left out is a hole.
  struct Piece {
    std::int64_t offset = 0;
    std::string_view bytes;  ///< valid until the next call; empty: no more content
  };

  TarReader(Chunks chunks, const Limits& limits) : chunks_(std::move(chunks)), limits_(limits) {}

  /// The next member into `entry` (its strings are reused); false at the end of the archive. Content of the member
  /// before that was not read is skipped.
  [[nodiscard]] Result<bool> next(Entry& entry);
  [[nodiscard]] Result<Piece> read();
  /// Reads the stream to its last byte.
  [[nodiscard]] Status drain();

 private:
  struct Extent {
    std::int64_t offset = 0;
    std::int64_t size = 0;
  };
  /// What extended headers say, before a member is made of it.
  struct Extended {
    std::map<std::string, std::string, std::less<>> keys;
    std::map<std::string, std::string, std::less<>> schily, libarchive;  ///< attributes by name
    std::vector<std::int64_t> sparse_numbers;                            ///< pax 0.0: offset, size, offset, size …
    std::size_t bytes = 0;
  };

  [[nodiscard]] Result<bool> fill();
  [[nodiscard]] Result<std::optional<std::string_view>> block();
  [[nodiscard]] Result<std::optional<std::string_view>> first_block();
  [[nodiscard]] Result<std::string_view> whole_block();
  [[nodiscard]] Result<std::string> special(std::string_view header);
  [[nodiscard]] Status skip(std::int64_t bytes);
  [[nodiscard]] Status finish_member();
  [[nodiscard]] Result<bool> at_end(std::string_view first);
  [[nodiscard]] Status read_records(std::string_view header, Extended& into, bool global);
  [[nodiscard]] Status read_member(std::string_view header, Entry& entry);
  [[nodiscard]] Status apply_extended(std::string_view header, Entry& entry);
  [[nodiscard]] Status apply_xattrs(Entry& entry);
  [[nodiscard]] Status apply_pax_sparse(Entry& entry);
  [[nodiscard]] Status read_gnu_sparse(std::string_view header, Entry& entry);
  [[nodiscard]] Result<std::vector<std::int64_t>> read_sparse_1_0();
  [[nodiscard]] Status set_sparse(const std::vector<std::int64_t>& numbers, std::int64_t real_size, Entry& entry);
  [[nodiscard]] const std::string* pax(std::string_view key) const;

  Chunks chunks_;
  Limits limits_;
  std::string_view window_;
  std::array<char, kBlock> carry_{};  ///< a block that two chunks share
  bool begun_ = false;
  bool stream_ended_ = false;
  bool archive_ended_ = false;

  Extended global_;
  Extended local_;
  std::optional<std::string> long_name_, long_link_;

  std::int64_t stored_left_ = 0;  ///< bytes of the member's data not yet taken
  std::int64_t padding_ = 0;
  std::int64_t delivered_ = 0;  ///< of a plain file; of the current extent of a sparse one
  bool sparse_ = false;
  std::vector<Extent> extents_;
  std::size_t extent_ = 0;
};

}  // namespace slipway::layer
