// Arena and Reader: orders as init sees them. Texts and lists point into the mapped orders and one bump allocator;
// nothing is freed, the process is short-lived. No exceptions, no heap of the C++ library: keeps the helper small.
#pragma once

#include <sys/mman.h>

#include "init/orders.hpp"

namespace slipway::init {

/// A text with its NUL: `data` is never null.
struct Text {
  const char* data = "";
  std::uint32_t size = 0;
  [[nodiscard]] bool empty() const { return size == 0; }
};

template <class T>
struct Span {
  T* data = nullptr;
  std::uint32_t count = 0;
  T* begin() const { return data; }
  T* end() const { return data + count; }
  T& operator[](std::uint32_t index) const { return data[index]; }
};

/// Zeroed memory that lives as long as the process. Null when there is none.
inline void* allocate(std::size_t bytes) {
  static char* next = nullptr;
  static std::size_t left = 0;
  bytes = (bytes + 15) & ~std::size_t{15};
  if (bytes > left) {
    const std::size_t chunk = bytes > (256U << 10) ? bytes : (256U << 10);
    void* fresh = mmap(nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return nullptr;
    next = static_cast<char*>(fresh);
    left = chunk;
  }
  void* out = next;
  next += bytes;
  left -= bytes;
  return out;
}

struct Borrowed {
  using Text = init::Text;
  template <class T>
  using List = Span<T>;
};
using StepOrders = Orders<Borrowed>;

class Reader {
 public:
  Reader(const char* bytes, std::size_t size) : next_(bytes), left_(size) {}
  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  /// Everything was there and nothing is left over.
  [[nodiscard]] bool complete() const { return good_ && left_ == 0; }

 private:
  const char* take(std::size_t size) {
    if (!good_ || size > left_) {
      good_ = false;
      return nullptr;
    }
    const char* out = next_;
    next_ += size;
    left_ -= size;
    return out;
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = 0;
      get(byte);
      value = byte != 0;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      if (const char* from = take(sizeof value)) std::memcpy(&value, from, sizeof value);
    } else {
      fields(*this, value);
    }
  }
  void get(Text& text) {
    std::uint32_t size = 0;
    get(size);
    const char* from = take(std::size_t{size} + 1);
    if (from == nullptr || from[size] != '\0') {
      good_ = false;
      return;
    }
    text = {from, size};
  }
  template <class T>
  void get(Span<T>& list) {
    std::uint32_t count = 0;
    get(count);
    if (!good_ || count > left_) {  // each item takes at least one byte
      good_ = false;
      return;
    }
    list.data = static_cast<T*>(allocate(sizeof(T) * (std::size_t{count} + 1)));
    if (list.data == nullptr) {
      good_ = false;
      return;
    }
    for (; list.count < count && good_; ++list.count) get(*new (&list.data[list.count]) T());
  }
  const char* next_;
  std::size_t left_;
  bool good_ = true;
};

}  // namespace slipway::init
