// Repository::blob: one blob's bytes in order, over as many connections as it takes.
#include "base/text.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

/// So much progress forgives the retries before it; less would let a registry feed us a byte per connection for ever.
constexpr std::int64_t kForgivingProgress = 1024;
/// So much of it is worth no wait before the next connection.
constexpr std::int64_t kSwiftProgress = 64 * 1024;
/// Bytes that come again (from a server that knows no ranges) are progress so many times, until new ones come.
constexpr int kRepetitions = 1;

class Download {
 public:
  Download(Host& host, Ask ask, const oci::Descriptor& descriptor, std::int64_t from, const layer::Target& sink,
           Word& word, const Cancel& cancel)
      : host_(host),
        ask_(std::move(ask)),
        headers_(ask_.headers),
        size_(descriptor.size),
        sink_(sink),
        word_(word),
        cancel_(cancel),
        offset_(from) {
    ask_.accept = {200, 206};
    ask_.head = [this](const http::Response& response) { return head(response); };
    ask_.sink = [this](std::string_view bytes) { return take(bytes); };
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  Status run() {
    const Patience::Watch watch(host_.patience());
    int tried = 0;
    const std::int64_t begun_at = offset_;
    std::int64_t forgiven_at = offset_;
    while (true) {
      const std::int64_t before = offset_;
      auto outcome = attempt();
      if (outcome) return {};
      Setback setback = std::move(outcome).error();
      if (setback.status == 416 && offset_ > 0 && std::exchange(ranges_, false)) setback.retries = kMostRetries;
      // A host that was there a moment ago is no typing error.
      if (offset_ > begun_at && setback.retries > 0) setback.retries = kMostRetries;
      if (offset_ - forgiven_at >= kForgivingProgress) {
        tried = 0;
        forgiven_at = offset_;
      }
      const bool swift = offset_ - before >= kSwiftProgress && setback.retries > 0 && !setback.retry_after;
      if (swift)
        TRY(cancel_.check());
      else
        TRY(wait_for_retry(host_.policy(), setback, tried++, cancel_));
    }
  }

 private:
  Attempt<void> attempt() {
    ask_.headers = headers_;
    if (offset_ > 0 && ranges_) ask_.headers.push_back({"Range", fmt::format("bytes={}-", offset_)});
    skip_ = 0;
    auto reply = host_.exchange(ask_, cancel_);
    if (!reply) return std::unexpected(std::move(reply).error());
    if (offset_ == size_) return {};
    Error error(Code::kDataLoss, fmt::format("{} from {} ends after {} bytes, it should have {}", ask_.what,
                                             host_.registry(), offset_ - skip_, size_));
    // An end that was announced will not come out differently; one that is only a closed connection may.
    const bool announced = reply->headers.find("Content-Length") || reply->headers.find("Transfer-Encoding");
    return std::unexpected(Setback{.error = std::move(error), .retries = announced ? 0 : kMostRetries});
  }

  /// The size is judged before the first byte is read.
  Status head(const http::Response& response) {
    if (word_of(response.headers) == Word::kStale) word_ = Word::kStale;
    std::int64_t begins = 0;
    if (response.status == 206) {
      begins = offset_;
      const std::string range = response.headers.find("Content-Range").value_or("");
      const bool fits = range == fmt::format("bytes {}-{}/{}", offset_, size_ - 1, size_) ||
                        range == fmt::format("bytes {}-{}/*", offset_, size_ - 1);
      if (offset_ == 0 || !ranges_ || !fits)
        return fail(Code::kDataLoss, "{} answers a request for {} from byte {} with the range {}", host_.registry(),
                    ask_.what, offset_, quoted(range, 128));
    }
    skip_ = offset_ - begins;  // a server without ranges starts over
    if (skip_ > 0) ++repeated_;
    if (const auto length = response.headers.find("Content-Length")) {
      const auto bytes = parse_size(*length);
      if (!bytes || *bytes != size_ - begins)
        return fail(Code::kDataLoss, "{} from {} is announced with {} bytes, it should have {}", ask_.what,
                    host_.registry(), printable(*length, 32), size_ - begins);
    }
    return {};
  }

  Status take(std::string_view bytes) {
    const auto skipped = std::min<std::int64_t>(skip_, std::ssize(bytes));
    skip_ -= skipped;
    bytes.remove_prefix(static_cast<std::size_t>(skipped));
    if (skipped > 0 && repeated_ <= kRepetitions) host_.patience().progress(skipped);
    if (bytes.empty()) return {};
    if (std::ssize(bytes) > size_ - offset_)
      return fail(Code::kDataLoss, "{} from {} has more than the {} bytes it should have", ask_.what, host_.registry(),
                  size_);
    TRY(sink_(bytes));
    offset_ += std::ssize(bytes);
    repeated_ = 0;
    host_.patience().progress(std::ssize(bytes));
    return {};
  }

  Host& host_;
  Ask ask_;
  const std::vector<http::Header> headers_;  ///< of every question
  const std::int64_t size_;
  const layer::Target& sink_;
  Word& word_;
  const Cancel& cancel_;
  std::int64_t offset_;    ///< bytes given to the sink
  std::int64_t skip_ = 0;  ///< bytes of this answer that the sink has already
  int repeated_ = 0;       ///< answers since the last new byte that began before it
  bool ranges_ = true;     ///< false: the server refused one
};

}  // namespace

Status Repository::State::download(const oci::Descriptor& descriptor, std::int64_t from, const layer::Target& sink,
                                   Word& word, const Cancel& cancel) const {
  Ask ask{.location = path("blobs/" + descriptor.digest.text()),
          .headers = headers(),
          .scopes = pull(),
          .what = blob_name(descriptor.digest)};
  return Download(*host, std::move(ask), descriptor, from, sink, word, cancel).run();
}

}  // namespace slipway::registry
