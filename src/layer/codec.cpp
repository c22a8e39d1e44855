#include "layer/codec.hpp"

#include <bzlib.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstring>
#include <vector>

#include "sys/file.hpp"

namespace slipway::layer {
namespace {

constexpr std::size_t kInput = 128 * 1024;
constexpr std::size_t kOutput = 128 * 1024;
/// The compressors get their input in pieces of this size whatever the caller's are, so that equal input gives equal
/// output.
constexpr std::size_t kEncoderInput = 256 * 1024;
constexpr int kZstdWindowLog = 27;  // 128 MiB
constexpr int kZstdLevel = 3;
/// A dictionary of 128 MiB and what the decoder needs besides.
constexpr std::uint64_t kXzMemory = (128 << 20) + (1 << 20);
constexpr std::string_view kBzip2Magic = "BZh";
constexpr std::string_view kXzMagic("\xfd\x37\x7a\x58\x5a\x00", 6);

std::uint8_t* bytes_of(char* text) { return reinterpret_cast<std::uint8_t*>(text); }

/// The compressed side: a buffer that is filled from the source.
class Input {
 public:
  explicit Input(Source source) : source_(std::move(source)) {}
  /// Reads until `least` bytes are there or the source ends; false when it gave fewer.
  Result<bool> want(std::size_t least) {
    while (size_ < least && !ended_) {
      std::memmove(buffer_.data(), buffer_.data() + at_, size_);
      at_ = 0;
      const std::size_t got = TRY(source_(buffer_.data() + size_, buffer_.size() - size_));
      ended_ = got == 0;
      size_ += got;
    }
    return size_ >= least;
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data() + at_, size_}; }
  void take(std::size_t count) {
    at_ += count;
    size_ -= count;
  }
  /// What is buffered, else straight from the source.
  Result<std::size_t> pass(char* to, std::size_t size) {
    if (size_ == 0) return ended_ ? 0 : source_(to, size);
    const auto count = std::min(size, size_);
    std::memcpy(to, buffer_.data() + at_, count);
    take(count);
    return count;
  }

 private:
  Source source_;
  std::vector<char> buffer_ = std::vector<char>(kInput);
  std::size_t at_ = 0;
  std::size_t size_ = 0;
  bool ended_ = false;
};

Error gzip_error(int code) {
  if (code == ISAL_INCORRECT_CHECKSUM) return {Code::kDataLoss, "the gzip stream's checksum is wrong"};
  if (code == ISAL_INVALID_WRAPPER || code == ISAL_UNSUPPORTED_METHOD)
    return {Code::kDataLoss, "the gzip stream has a bad header"};
  return {Code::kDataLoss, "the gzip stream is corrupt"};
}

class GzipDecoder {
 public:
  explicit GzipDecoder(std::shared_ptr<Input> input) : input_(std::move(input)) { begin_member(); }

  Result<std::size_t> read(char* to, std::size_t size) {
    if (size == 0) return 0;
    state_.next_out = bytes_of(to);
    state_.avail_out = static_cast<std::uint32_t>(std::min<std::size_t>(size, 1 << 30));
    const std::uint32_t room = state_.avail_out;
    while (state_.avail_out == room) {
      if (state_.block_state == ISAL_BLOCK_FINISH && !TRY(next_member())) return 0;
      TRY(step());
    }
    return room - state_.avail_out;
  }

 private:
  void begin_member() {
    isal_inflate_init(&state_);
    // The trailer (checksum, size) is judged by isal_inflate(); the header is read by us, since with ISAL_GZIP it
    // forgets between two calls which optional fields a header has.
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    isal_gzip_header_init(&header_);
    in_header_ = true;
  }

  /// False at the end of the stream. What follows a member must be another one.
  Result<bool> next_member() {
    if (!TRY(input_->want(1))) return false;
    (void)TRY(input_->want(2));
    if (!input_->view().starts_with("\x1f\x8b"))
      return fail(Code::kDataLoss, "bytes follow the end of the gzip stream");
    auto* out = state_.next_out;
    const auto room = state_.avail_out;
    begin_member();
    state_.next_out = out;
    state_.avail_out = room;
    return true;
  }

  Status step() {
    const bool more = TRY(input_->want(1));
    const auto in = input_->view();
    state_.next_in = bytes_of(const_cast<char*>(in.data()));  // the library reads only
    state_.avail_in = static_cast<std::uint32_t>(in.size());
    const auto room = state_.avail_out;
    const int code = in_header_ ? isal_read_gzip_header(&state_, &header_) : isal_inflate(&state_);
    input_->take(in.size() - state_.avail_in);
    if (code < 0 || code == ISAL_NEED_DICT) return std::unexpected(gzip_error(code));
    if (in_header_ && code == ISAL_DECOMP_OK) {
      in_header_ = false;
      return {};
    }
    // Nothing in, nothing out, not finished: the stream was cut.
    if (!more && state_.avail_out == room && state_.block_state != ISAL_BLOCK_FINISH)
      return fail(Code::kDataLoss, "the gzip stream is truncated");
    return {};
  }

  std::shared_ptr<Input> input_;
  inflate_state state_{};
  isal_gzip_header header_{};
  bool in_header_ = true;
};

class ZstdDecoder {
 public:
  ZstdDecoder(std::shared_ptr<Input> input, Lend lend)
      : input_(std::move(input)), lend_(std::move(lend)), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (context_) ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
  }

  Result<std::size_t> read(char* to, std::size_t size) {
    if (!context_) return fail(Code::kResourceExhausted, "no memory for a zstd decoder");
    if (size == 0) return 0;
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos == 0) {
      const bool more = TRY(input_->want(1));
      if (!more && at_frame_end_) return 0;
      if (at_frame_end_) TRY(begin_frame());
      ZSTD_inBuffer in{input_->view().data(), input_->view().size(), 0};
      const std::size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      input_->take(in.pos);
      if (ZSTD_isError(code) != 0)
        return fail(Code::kDataLoss, "the zstd stream is corrupt: {}", ZSTD_getErrorName(code));
      at_frame_end_ = code == 0;
      frame_done_ += out.pos;
      // The library compares them when it sees a frame in one piece, and not always when it comes in several.
      if (at_frame_end_ && frame_size_ && *frame_size_ != frame_done_)
        return fail(Code::kDataLoss, "the zstd stream is corrupt: a frame has another size than it says");
      if (!more && out.pos == 0 && !at_frame_end_) return fail(Code::kDataLoss, "the zstd stream is truncated");
    }
    return out.pos;
  }

 private:
  Status begin_frame() {
    constexpr std::size_t kLongestHeader = 18;  // RFC 8878, 3.1.1.1, with the magic number
    (void)TRY(input_->want(kLongestHeader));
    const auto size = ZSTD_getFrameContentSize(input_->view().data(), input_->view().size());
    frame_size_.reset();
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR) frame_size_ = size;
    frame_done_ = 0;
    const auto window = window_of(input_->view(), frame_size_);
    if (lend_ && !lent_ && window > kOwnWindow && window <= std::size_t{1} << kZstdWindowLog)
      lent_ = TRY(lend_(window));
    return {};
  }

  /// RFC 8878, 3.1.1.1.2: the window descriptor, or the whole of a frame in one segment. 0 for what is no frame.
  static std::size_t window_of(std::string_view frame, std::optional<unsigned long long> content) {
    if (frame.size() < 6 || !frame.starts_with("\x28\xb5\x2f\xfd")) return 0;
    const auto descriptor = static_cast<unsigned char>(frame[4]);
    if ((descriptor & 0x20) != 0) return static_cast<std::size_t>(content.value_or(0));
    const auto byte = static_cast<unsigned char>(frame[5]);
    const std::size_t base = std::size_t{1} << (10 + (byte >> 3));
    return base + base / 8 * (byte & 7);
  }

  std::shared_ptr<Input> input_;
  Lend lend_;
  std::shared_ptr<void> lent_;
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
  bool at_frame_end_ = true;
  std::optional<unsigned long long> frame_size_;  ///< as the frame's header says, if it does
  unsigned long long frame_done_ = 0;
};

class Bzip2Decoder {
 public:
  explicit Bzip2Decoder(std::shared_ptr<Input> input) : input_(std::move(input)) {}
  Bzip2Decoder(const Bzip2Decoder&) = delete;
  Bzip2Decoder& operator=(const Bzip2Decoder&) = delete;
  ~Bzip2Decoder() { end(); }

  Result<std::size_t> read(char* to, std::size_t size) {
    if (size == 0) return 0;
    state_.next_out = to;
    state_.avail_out = static_cast<unsigned>(std::min<std::size_t>(size, 1 << 30));
    const unsigned room = state_.avail_out;
    while (state_.avail_out == room) {
      if (!open_ && !TRY(next_stream())) return 0;
      TRY(step(room));
    }
    return room - state_.avail_out;
  }

 private:
  /// False at the end. What follows a stream must be another one.
  Result<bool> next_stream() {
    if (!TRY(input_->want(1))) return false;
    (void)TRY(input_->want(kBzip2Magic.size()));
    if (!input_->view().starts_with(kBzip2Magic))
      return fail(Code::kDataLoss, "bytes follow the end of the bzip2 stream");
    if (BZ2_bzDecompressInit(&state_, 0, 0) != BZ_OK)
      return fail(Code::kResourceExhausted, "no memory for a bzip2 decoder");
    open_ = true;
    return true;
  }

  Status step(unsigned room) {
    const bool more = TRY(input_->want(1));
    const auto in = input_->view();
    state_.next_in = const_cast<char*>(in.data());  // the library reads only
    state_.avail_in = static_cast<unsigned>(in.size());
    const int code = BZ2_bzDecompress(&state_);
    input_->take(in.size() - state_.avail_in);
    if (code == BZ_STREAM_END) {
      end();
      return {};
    }
    if (code == BZ_MEM_ERROR) return fail(Code::kResourceExhausted, "no memory for a bzip2 decoder");
    if (code != BZ_OK) return fail(Code::kDataLoss, "the bzip2 stream is corrupt");
    if (!more && state_.avail_out == room) return fail(Code::kDataLoss, "the bzip2 stream is truncated");
    return {};
  }

  void end() {
    if (open_) BZ2_bzDecompressEnd(&state_);
    open_ = false;
  }

  std::shared_ptr<Input> input_;
  bz_stream state_{};
  bool open_ = false;  ///< in a stream
};

class XzDecoder {
 public:
  explicit XzDecoder(std::shared_ptr<Input> input)
      : input_(std::move(input)), begun_(lzma_stream_decoder(&state_, kXzMemory, LZMA_CONCATENATED)) {}
  XzDecoder(const XzDecoder&) = delete;
  XzDecoder& operator=(const XzDecoder&) = delete;
  ~XzDecoder() { lzma_end(&state_); }

  Result<std::size_t> read(char* to, std::size_t size) {
    if (begun_ != LZMA_OK) return fail(Code::kResourceExhausted, "no memory for an xz decoder");
    if (size == 0 || ended_) return 0;
    state_.next_out = bytes_of(to);
    state_.avail_out = size;
    while (state_.avail_out == size && !ended_) {
      const bool more = TRY(input_->want(1));
      const auto in = input_->view();
      state_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
      state_.avail_in = in.size();
      const lzma_ret code = lzma_code(&state_, more ? LZMA_RUN : LZMA_FINISH);
      input_->take(in.size() - state_.avail_in);
      ended_ = code == LZMA_STREAM_END;
      if (code != LZMA_OK && code != LZMA_STREAM_END) return std::unexpected(error(code));
    }
    return size - state_.avail_out;
  }

 private:
  static Error error(lzma_ret code) {
    switch (code) {
      case LZMA_MEM_ERROR:
        return {Code::kResourceExhausted, "no memory for an xz decoder"};
      case LZMA_MEMLIMIT_ERROR:
        return {Code::kOutOfRange, "the xz stream needs more than 128 MiB of memory"};
      case LZMA_OPTIONS_ERROR:
        return {Code::kDataLoss, "the xz stream has a filter that is not known"};
      case LZMA_BUF_ERROR:
        return {Code::kDataLoss, "the xz stream is truncated"};
      default:
        return {Code::kDataLoss, "the xz stream is corrupt"};
    }
  }

  std::shared_ptr<Input> input_;
  lzma_stream state_ = LZMA_STREAM_INIT;
  lzma_ret begun_;
  bool ended_ = false;
};

/// Collects the caller's bytes into pieces of kEncoderInput.
class BlockEncoder : public Encoder {
 public:
  explicit BlockEncoder(Target target) : target_(std::move(target)) { input_.reserve(kEncoderInput); }
  Status write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto take = std::min(bytes.size(), kEncoderInput - input_.size());
      input_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (input_.size() < kEncoderInput) continue;
      TRY(encode(input_, false));
      input_.clear();
    }
    return {};
  }
  Status finish() override { return encode(input_, true); }

 protected:
  virtual Status encode(std::string_view input, bool last) = 0;
  Status put(std::size_t size) { return size == 0 ? Status() : target_(std::string_view(output_.data(), size)); }
  std::vector<char> output_ = std::vector<char>(kOutput);

 private:
  Target target_;
  std::string input_;
};

class GzipEncoder final : public BlockEncoder {
 public:
  explicit GzipEncoder(Target target) : BlockEncoder(std::move(target)) {
    isal_deflate_init(&stream_);
    stream_.level = 1;
    stream_.level_buf = level_.data();
    stream_.level_buf_size = static_cast<std::uint32_t>(level_.size());
    stream_.gzip_flag = IGZIP_GZIP;
  }

 private:
  Status encode(std::string_view input, bool last) override {
    stream_.next_in = bytes_of(const_cast<char*>(input.data()));  // the library reads only
    stream_.avail_in = static_cast<std::uint32_t>(input.size());
    stream_.end_of_stream = last ? 1 : 0;
    do {
      stream_.next_out = bytes_of(output_.data());
      stream_.avail_out = static_cast<std::uint32_t>(output_.size());
      if (const int code = isal_deflate(&stream_); code != COMP_OK)
        return fail(Code::kInternal, "gzip compression failed ({})", code);
      TRY(put(output_.size() - stream_.avail_out));
    } while (stream_.avail_out == 0 || stream_.avail_in > 0);
    return {};
  }

  isal_zstream stream_{};
  std::vector<std::uint8_t> level_ = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
};

/// Slower and smaller, for who asks for a level: those of ISA-L are not zlib's.
class ZlibEncoder final : public BlockEncoder {
 public:
  ZlibEncoder(Target target, int level) : BlockEncoder(std::move(target)) {
    constexpr int kGzipWindow = 15 + 16;  // the largest, in a gzip wrapper without name and time
    begun_ = deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, 9, Z_DEFAULT_STRATEGY);
  }
  ZlibEncoder(const ZlibEncoder&) = delete;
  ZlibEncoder& operator=(const ZlibEncoder&) = delete;
  ~ZlibEncoder() override { deflateEnd(&stream_); }

 private:
  Status encode(std::string_view input, bool last) override {
    if (begun_ != Z_OK) return fail(Code::kResourceExhausted, "no memory for a gzip encoder");
    stream_.next_in = bytes_of(const_cast<char*>(input.data()));  // the library reads only
    stream_.avail_in = static_cast<unsigned>(input.size());
    do {
      stream_.next_out = bytes_of(output_.data());
      stream_.avail_out = static_cast<unsigned>(output_.size());
      if (deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
        return fail(Code::kInternal, "gzip compression failed");
      TRY(put(output_.size() - stream_.avail_out));
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_{};
  int begun_ = Z_OK;
};

class ZstdEncoder final : public BlockEncoder {
 public:
  ZstdEncoder(Target target, int level) : BlockEncoder(std::move(target)), context_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {
    if (!context_) return;
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

 private:
  Status encode(std::string_view input, bool last) override {
    if (!context_) return fail(Code::kResourceExhausted, "no memory for a zstd encoder");
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    while (true) {
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left) != 0) return fail(Code::kInternal, "zstd compression failed: {}", ZSTD_getErrorName(left));
      TRY(put(out.pos));
      if (last ? left == 0 : in.pos == in.size) return {};
    }
  }

  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
};

class PlainEncoder final : public Encoder {
 public:
  explicit PlainEncoder(Target target) : target_(std::move(target)) {}
  Status write(std::string_view bytes) override { return target_(bytes); }
  Status finish() override { return {}; }

 private:
  Target target_;
};

}  // namespace

oci::Compression detect(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return oci::Compression::kGzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return oci::Compression::kZstd;
  // A skippable frame in front (RFC 8878, 3.1.2), as pzstd and seekable writers put it: 184D2A5?, little endian.
  if (first_bytes.size() >= 4 && (first_bytes[0] & 0xf0) == 0x50 && first_bytes.substr(1, 3) == "\x2a\x4d\x18")
    return oci::Compression::kZstd;
  return oci::Compression::kNone;
}

namespace {

template <class Decoder, class... Arguments>
Source reader_of(const std::shared_ptr<Input>& input, Arguments... arguments) {
  const auto state = std::make_shared<Decoder>(input, std::move(arguments)...);
  return [state](char* to, std::size_t size) { return state->read(to, size); };
}

Result<Source> layer_decoder(const std::shared_ptr<Input>& input, Lend lend) {
  (void)TRY(input->want(4));
  switch (detect(input->view().substr(0, 4))) {
    case oci::Compression::kGzip:
      return reader_of<GzipDecoder>(input);
    case oci::Compression::kZstd:
      return reader_of<ZstdDecoder>(input, std::move(lend));
    case oci::Compression::kNone:
      break;
  }
  return [input](char* to, std::size_t size) { return input->pass(to, size); };
}

}  // namespace

Result<Source> decoder(Source compressed, Lend lend) {
  return layer_decoder(std::make_shared<Input>(std::move(compressed)), std::move(lend));
}

Result<Source> archive_decoder(Source compressed) {
  const auto input = std::make_shared<Input>(std::move(compressed));
  (void)TRY(input->want(kXzMagic.size()));
  if (input->view().starts_with(kBzip2Magic)) return reader_of<Bzip2Decoder>(input);
  if (input->view().starts_with(kXzMagic)) return reader_of<XzDecoder>(input);
  return layer_decoder(input, {});
}

Result<Plain> read_plain(Source compressed, const Cancel& cancel) {
  const Source plain = TRY(decoder(std::move(compressed)));
  oci::Hasher hasher;
  std::string buffer(256 * 1024, '\0');
  std::int64_t bytes = 0;
  while (const std::size_t got = TRY(plain(buffer.data(), buffer.size()))) {
    TRY(cancel.check());
    bytes += static_cast<std::int64_t>(got);
    if (bytes > Limits{}.unpacked_bytes) return fail(Code::kOutOfRange, "the layer is too large");
    hasher.update({buffer.data(), got});
  }
  return Plain{{hasher.finish()}, bytes};
}

Result<oci::Compression> detect_file(int file) {
  char first[4];
  const std::size_t got = TRY(sys::read_some_at(file, first, sizeof first, 0));
  return detect({first, got});
}

std::unique_ptr<Encoder> encoder(oci::Compression compression, Target target, std::optional<int> level) {
  switch (compression) {
    case oci::Compression::kGzip:
      if (level) return std::make_unique<ZlibEncoder>(std::move(target), *level);
      return std::make_unique<GzipEncoder>(std::move(target));
    case oci::Compression::kZstd:
      return std::make_unique<ZstdEncoder>(std::move(target), level.value_or(kZstdLevel));
    case oci::Compression::kNone:
      break;
  }
  return std::make_unique<PlainEncoder>(std::move(target));
}

}  // namespace slipway::layer
