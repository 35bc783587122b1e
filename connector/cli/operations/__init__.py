"""Operations on the command line: flags from their fields, tables or JSON from their answers."""
