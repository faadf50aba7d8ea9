// Strings that only the port uses.
Q(/)
Q(/lib)
Q(datetime)
