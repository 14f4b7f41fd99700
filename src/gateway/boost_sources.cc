// The one place where Asio, Beast and Boost.JSON are compiled; everything else sees declarations.
// clang-format off: src.hpp of each library must come first of its kind
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
#include <boost/json/src.hpp>
