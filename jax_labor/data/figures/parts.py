"""Train ids of the class table `figures12`."""

(
    BACKGROUND,
    HAIR,
    FACE,  # with ears and neck
    TOP,
    ARM,  # bare, and the hand in any case
    TROUSERS,
    SKIRT,
    DRESS,
    LEG,  # bare
    SHOE,
    BAG,
    HAT,
) = range(12)
