// Boost.Process v2 compiled once.
#include <boost/asio/detail/throw_error.hpp>  // which Boost 1.81 uses and forgets to include
#include <boost/process/v2/src.hpp>
