cpdef payload_of(object message)
