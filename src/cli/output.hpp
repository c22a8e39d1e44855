// Output: what a command writes, with every error told. A result counts only when all of it was written (R5).
#pragma once

#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/layer.hpp"
#include "sys/fd.hpp"

namespace slipway::cli {

/// Standard output: buffered, checked. Not thread safe.
class StandardOutput {
 public:
  explicit StandardOutput(int fd = 1) : fd_(fd) {}
  [[nodiscard]] Status write(std::string_view bytes);
  [[nodiscard]] Status flush();
  /// flush, then close: some file systems tell a lost write only there. Nothing can be written afterwards.
  [[nodiscard]] Status finish();

 private:
  int fd_;
  std::string buffer_;
  bool written_ = false;
  bool closed_ = false;
};

/// A file that a command makes. A regular (or new) one appears whole or not at all: it is written beside its place,
/// fsynced and renamed. Anything else (/dev/stdout, a fifo, a device) is written straight.
class [[nodiscard]] OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();  ///< removes an unfinished file
  [[nodiscard]] Status write(std::string_view bytes);
  [[nodiscard]] Status finish();

 private:
  OutputFile(std::string path, std::string temporary, sys::Fd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  std::string path_;
  std::string temporary_;  // empty: written straight
  sys::Fd fd_;
};

/// Reads a descriptor as it comes, and stops when `cancel` fires. `name` is for errors.
[[nodiscard]] layer::Source source_of(int fd, std::string name, Cancel cancel);

}  // namespace slipway::cli
