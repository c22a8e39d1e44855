// Context archives: a tar (plain or compressed) that becomes a folder to build from.
#pragma once

#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/layer.hpp"
#include "layer/tar_reader.hpp"

namespace slipway::build {

/// Bytes of a stream's start that looks_like_archive() wants.
inline constexpr std::size_t kArchiveHead = 512;

/// Whether a stream that begins so is an archive: gzip, bzip2, xz, zstd, or a tar header with a right checksum.
[[nodiscard]] bool looks_like_archive(std::string_view head);

/// Unpacks into the existing, empty directory. Nothing is written outside of it (layer::unpack); everything belongs to
/// root, as all of a context does. Errors: those of the archive; kResourceExhausted before something is written that
/// claims more than the disk has.
[[nodiscard]] Status unpack_archive(const layer::Source& source, const std::string& directory, const Cancel& cancel);

/// Reads what follows an archive's end, for the checksum behind it; not more than some megabytes: a kilobyte of bzip2
/// can unpack to hours of zeros.
[[nodiscard]] Status read_padding(const layer::TarReader::Chunks& next);

/// A source that reads a descriptor which the caller keeps open.
[[nodiscard]] layer::Source source_of_fd(int fd);

}  // namespace slipway::build
