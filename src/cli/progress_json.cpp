#include "cli/progress_json.hpp"

#include "base/text.hpp"
#include "cli/value.hpp"

namespace slipway::cli {
namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) -> unsigned {
      return k < bytes.size() ? static_cast<unsigned char>(bytes[k]) : 0;
    };
    const unsigned triple = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += kDigits[triple >> 18];
    out += kDigits[triple >> 12 & 63];
    out += i + 1 < bytes.size() ? kDigits[triple >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kDigits[triple & 63] : '=';
  }
  return out;
}

Value vertex(progress::VertexId id) { return static_cast<std::int64_t>(id); }

struct ToObject {
  Value::Object& out;
  void operator()(const progress::Started& event) const {
    out.insert(out.end(), {{"type", "started"}, {"vertex", vertex(event.id)}, {"name", event.name}});
  }
  void operator()(const progress::Cached& event) const {
    out.insert(out.end(), {{"type", "cached"}, {"vertex", vertex(event.id)}});
  }
  void operator()(const progress::Finished& event) const {
    out.insert(out.end(), {{"type", "finished"}, {"vertex", vertex(event.id)}});
    if (!event.error.empty()) out.emplace_back("error", event.error);
  }
  void operator()(const progress::Log& event) const {
    out.insert(out.end(), {{"type", "log"}, {"vertex", vertex(event.id)}, {"stream", event.stream}});
    if (is_utf8(event.bytes)) {
      out.emplace_back("text", event.bytes);
    } else {
      out.emplace_back("base64", base64(event.bytes));
    }
  }
  void operator()(const progress::Transfer& event) const {
    out.insert(out.end(),
               {{"type", "transfer"}, {"vertex", vertex(event.id)}, {"object", event.object}, {"done", event.done}});
    if (event.total >= 0) out.emplace_back("total", event.total);
  }
  void operator()(const progress::Warning& event) const {
    out.insert(out.end(), {{"type", "warning"}, {"text", event.text}});
  }
  void operator()(const progress::Reason& event) const {
    out.insert(out.end(), {{"type", "reason"}, {"vertex", vertex(event.id)}, {"result", event.hit ? "hit" : "miss"}});
    if (event.hit) return;
    out.insert(out.end(), {{"kind", event.kind}, {"name", event.name}, {"text", event.text}});
    if (!event.mount.empty()) out.emplace_back("mount", event.mount);
    if (!event.follows.empty()) out.emplace_back("follows", event.follows);
  }
};

}  // namespace

void JsonProgress::on(const progress::Event& event) {
  Value::Object object = {{"time", rfc3339(setup_.wall_clock())}};
  std::visit(ToObject{object}, event);
  const std::string line = Value(std::move(object)).json() + "\n";
  const std::lock_guard lock(mutex_);
  setup_.write(line);
}

}  // namespace slipway::cli
