def save_pictures(session, ledger): pass
